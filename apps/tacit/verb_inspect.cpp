// SPDX-License-Identifier: Apache-2.0
// tacit inspect MODEL.tacit [--json]: what a compiled model needs and costs.
#include "base/file.h"
#include "model_report.h"
#include "verbs.h"

namespace tacit::app {
namespace {

struct Options {
  std::filesystem::path package;
  bool json = false;
};

Status run(const Options& options) {
  TACIT_TRY(const Bytes bytes, read_file(options.package, plan::kMaxPackageBytes));
  auto package = plan::read_package(bytes);
  if (!package.ok()) return std::move(package).error().within(options.package.string());
  TACIT_TRY(const compiler::Report report, compiler::describe(*package));
  say_report(report);
  if (options.json) print_json(report_json(report));
  return {};
}

}  // namespace

void add_inspect(CLI::App& app, Context& context) {
  CLI::App* verb = app.add_subcommand("inspect", "Show what a compiled model needs and costs");
  auto options = std::make_shared<Options>();
  verb->add_option("model", options->package, "Compiled model (.tacit)")->required();
  verb->add_flag("--json", options->json, "Print it as one JSON object");
  when_chosen(*verb, context, options, run);
}

}  // namespace tacit::app
