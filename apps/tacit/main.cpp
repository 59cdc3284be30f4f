// SPDX-License-Identifier: Apache-2.0
// `tacit`: the program of those who own data and of those who own models. Exit codes: 0 done, 2 wrong usage,
// 1 any other error; an error is one line on standard error, "tacit: <code>: <message>".
#include "base/printable.h"
#include "verbs.h"

namespace {

using namespace tacit;

int report(const Error& error) {
  app::say("tacit: " + error.to_line());
  return error.code == ErrorCode::kInvalidArgument ? 2 : 1;
}

int run(int argc, char** argv) {
  CLI::App program("Tacit: convolutional networks on images that the server never sees", "tacit");
  program.set_version_flag("--version", "tacit " TACIT_VERSION);
  program.require_subcommand(1);
  program.fallthrough(false);

  app::Context context;
  app::add_compile(program, context);
  app::add_inspect(program, context);
  app::add_run(program, context);
  app::add_simulate(program, context);
  app::add_models(program, context);
  app::add_predict(program, context);
  app::add_features(program, context);
  app::add_fit(program, context);
  app::add_classify(program, context);
  app::add_evaluate(program, context);
  app::add_keys(program, context);

  try {
    program.parse(argc, argv);
  } catch (const CLI::Success& help) {  // --help and --version
    return program.exit(help);
  } catch (const CLI::ParseError& error) {
    return report(Error{ErrorCode::kInvalidArgument,
                        printable(error.what(), std::string::npos) + "; see tacit --help"});
  }
  if (Status status = context.run(); !status.ok()) return report(status.error());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::bad_alloc&) {
    return report(
        Error{ErrorCode::kOutOfMemory, "there is not enough memory for this; close other programs"});
  } catch (const std::exception& exception) {
    return report(Error{ErrorCode::kInternal, printable(exception.what(), std::string::npos)});
  }
}
