// SPDX-License-Identifier: Apache-2.0
// tacitd: serves compiled models on ciphertexts. It holds no code that could make or use a secret key.
#include <tbb/global_control.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <optional>

#include "server/application.h"
#include "server/http_server.h"
#include "server/log.h"
#include "verbs.h"

namespace tacit {

void say(const std::string& line) { std::fprintf(stderr, "tacitd: %s\n", line.c_str()); }

namespace {

struct Options {
  server::ApplicationOptions application;
  std::string listen = "127.0.0.1:8080";
  std::string log_level = "info";
  std::size_t threads = 0;
};

void declare(CLI::App& app, Options& options) {
  app.set_version_flag("--version", TACIT_VERSION);
  app.add_option("--models", options.application.models, "Folder of compiled models (.tacit)");
  app.add_option("--state", options.application.state,
                 "Folder that keys, jobs and tokens are kept in; made if missing");
  app.add_option("--listen", options.listen, "HOST:PORT; port 0 takes any that is free")
      ->capture_default_str();
  app.add_option("--max-body-bytes", options.application.max_body_bytes, "Longest request body")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  app.add_option("--key-cache-bytes", options.application.key_cache_bytes,
                 "Memory for expanded evaluation keys")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  app.add_option("--threads", options.threads, "Cores that inference may use; 0 means all")
      ->capture_default_str();
  app.add_option("--log-level", options.log_level, "debug, info, warning, error or off")
      ->capture_default_str();
}

// Blocks the signals that end the server in this thread and all that it will start, so that sigwait gets them.
sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return signals;
}

// Without tokens anybody may do anything, so only this machine may ask.
Status check_open(const server::Application& application, const server::HttpOptions& http) {
  if (!application.is_open()) return {};
  if (!server::is_loopback(http))
    return Error{
        ErrorCode::kInvalidArgument,
        "there is no token yet, so the server may only listen on 127.0.0.1 or [::1]; make one with tacitd "
        "token create"};
  say("OPEN MODE: there is no token; whoever can reach this machine's loopback interface may do anything");
  return {};
}

Status serve(const Options& options) {
  for (const auto& [name, path] :
       {std::pair("--models", &options.application.models), std::pair("--state", &options.application.state)})
    if (path->empty())
      return Error{ErrorCode::kInvalidArgument, std::string(name) + " is missing; see tacitd --help"};
  const sigset_t signals = block_signals();
  server::HttpOptions http;
  TACIT_CHECK(server::parse_address(options.listen, http));
  TACIT_CHECK(server::start_log(options.log_level));
  std::optional<tbb::global_control> cores;
  if (options.threads > 0) cores.emplace(tbb::global_control::max_allowed_parallelism, options.threads);

  TACIT_TRY(const std::unique_ptr<server::Application> application,
            server::Application::create(options.application));
  TACIT_CHECK(check_open(*application, http));
  TACIT_TRY(const std::unique_ptr<server::HttpServer> server, server::HttpServer::start(*application, http));
  say("listening on " + server->url());

  int signal = 0;
  sigwait(&signals, &signal);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);  // a second one ends the process at once
  server::log_info("stopping: finishing what runs");
  application->announce_stop();
  if (!server->stop()) {
    // Everything acknowledged is on disk, so nothing is lost by not waiting for a run whose client was told already.
    server::log_warning("a run did not stop in time and is abandoned");
    server::stop_log();
    std::_Exit(0);
  }
  return {};
}

}  // namespace
}  // namespace tacit

int main(int argc, char** argv) {
  CLI::App app("Serves compiled neural networks on encrypted images (protocol/rest.md).", "tacitd");
  tacit::Options options;
  tacit::declare(app, options);
  tacit::Action action = [&] { return tacit::serve(options); };
  tacit::add_token_verb(app, action);
  tacit::add_state_verbs(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) { return app.exit(error) == 0 ? 0 : 2; }
  const tacit::Status status = action();
  tacit::server::stop_log();
  if (status.ok()) return 0;
  tacit::say(status.error().to_line());
  return status.error().code == tacit::ErrorCode::kInvalidArgument ? 2 : 1;
}
