// SPDX-License-Identifier: Apache-2.0
// tacitd: serves compiled models on ciphertexts. It holds no code that could make or use a secret key.
#include <malloc.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <tbb/global_control.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "base/process.h"
#include "notify.h"
#include "server/application.h"
#include "server/config.h"
#include "server/http_server.h"
#include "server/log.h"
#include "server/memory_reserve.h"
#include "server/tls.h"
#include "verbs.h"

namespace tacit {

void say(const std::string& line) { std::fprintf(stderr, "tacitd: %s\n", line.c_str()); }

namespace {

// The settings that have a flag of their own; all others are in the file or the environment.
constexpr std::array<std::pair<const char*, const char*>, 7> kFlags = {
    {{"--models", "server.models"},
     {"--state", "server.state"},
     {"--listen", "server.listen"},
     {"--threads", "server.threads"},
     {"--log-level", "log.level"},
     {"--max-body-bytes", "limits.body_bytes"},
     {"--key-cache-bytes", "limits.key_cache"}}};

struct CommandLine {
  std::string config;
  std::array<std::string, kFlags.size()> values;
  bool check_config = false, list_config = false;
};

const server::Setting& setting_of(std::string_view name) {
  return *std::ranges::find(server::settings(), name, &server::Setting::name);
}

void declare(CLI::App& app, CommandLine& line) {
  app.set_version_flag("--version", TACIT_VERSION);
  app.add_option("--config", line.config, "Configuration file (TOML)");
  app.add_flag("--check-config", line.check_config, "Read the configuration, say what is wrong, and end");
  app.add_flag("--list-config", line.list_config,
               "Print every key with its meaning and value, as a file that could be used");
  for (std::size_t i = 0; i < kFlags.size(); ++i)
    app.add_option(kFlags[i].first, line.values[i], std::string(setting_of(kFlags[i].second).meaning));
}

// The file, over it the environment, over both the command line.
Result<server::Config> read_configuration(const CLI::App& app, const CommandLine& line) {
  server::Config config;
  if (!line.config.empty()) TACIT_CHECK(server::read_config(line.config, config));
  const auto lookup = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
  TACIT_CHECK(server::read_environment(lookup, config));
  for (std::size_t i = 0; i < kFlags.size(); ++i) {
    if (app.count(kFlags[i].first) == 0) continue;
    if (Status status = server::set_value(kFlags[i].second, line.values[i], config); !status.ok())
      return std::move(status).error().within(kFlags[i].first);
  }
  return config;
}

// Kubernetes sets variables like TACITD_PORT for a service called tacitd, so that a strange one is no reason not to start.
void warn_of_strange_variables() {
  std::vector<std::string> names;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    names.emplace_back(text.substr(0, text.find('=')));
  }
  for (const std::string& line : server::strange_variables(names)) say(line);
}

void list_config(const server::Config& config) {
  std::string section;
  for (const server::Setting& setting : server::settings()) {
    const std::size_t dot = setting.name.find('.');
    const std::string its_section(setting.name.substr(0, dot));
    if (its_section != section) {
      std::printf("%s[%s]\n", section.empty() ? "" : "\n", its_section.c_str());
      section = its_section;
    }
    std::printf("# %s; %s\n%s = %s\n", std::string(setting.meaning).c_str(),
                server::environment_name(setting).c_str(), std::string(setting.name.substr(dot + 1)).c_str(),
                server::value_text(config, setting).c_str());
  }
}

// Blocks the signals that the server minds in this thread and all that it will start, so that sigwait gets them.
sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
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

Result<server::HttpOptions> http_options(const server::Config& config) {
  server::HttpOptions http;
  TACIT_CHECK(server::parse_address(config.listen, http));
  http.max_connections = config.max_connections;
  http.max_connections_per_address = config.connections_per_address;
  http.certificate = config.certificate;
  http.private_key = config.private_key;
  return http;
}

// Everything that can be said of the configuration without taking the state folder or an address.
Status check_configuration(const server::Config& config) {
  TACIT_CHECK(server::check(config));
  TACIT_TRY(const server::HttpOptions http, http_options(config));
  if (!http.certificate.empty()) {
    TACIT_TRY(const auto context, server::TlsContext::load(http.certificate, http.private_key));
    if (context->expired()) say("the certificate's time is over, or has not come yet");
  }
  // Models may come later.
  if (const Status models = server::check_models_folder(config.models); !models.ok()) {
    if (models.error().code != ErrorCode::kNoModels) return models;
    say(models.error().message);
  }
  say("the configuration is sound");
  return {};
}

// What goes over a network in the clear can be read and changed on the way.
void warn_of_clear_text(const server::HttpOptions& http) {
  if (!http.certificate.empty() || server::is_loopback(http)) return;
  say("NO TLS: tokens and evaluation keys go over the network in the clear unless a proxy in front of this "
      "server does TLS; set tls.certificate and tls.private_key");
}

// A descriptor for each connection, and some for files. The soft limit of most systems is 1024.
void allow_descriptors(std::uint64_t connections) {
  constexpr rlim_t kOthers = 256;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = connections + kOthers;
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted)
    say("limits.connections is " + std::to_string(connections) + ", but this process may only have " +
        std::to_string(limit.rlim_cur) + " open files (ulimit -n)");
}

// SIGHUP: what may change while the server runs.
void reload(server::HttpServer& server, server::Application& application) {
  server::log_info("SIGHUP: reading anew what can change");
  if (const Status status = server.reload_certificate(); !status.ok())
    server::log_error("the certificate stays as it was", status.error());
  application.reload();
}

server::ApplicationOptions application_options(const server::Config& config) {
  server::ApplicationOptions options;
  options.models = config.models;
  options.state = config.state;
  options.max_body_bytes = config.max_body_bytes;
  options.max_body_bytes_in_flight = config.body_bytes_in_flight;
  options.key_cache_bytes = config.key_cache_bytes;
  options.max_waiting_inferences = config.queue_length;
  options.max_jobs = config.max_jobs;
  options.cores = config.threads;
  options.memory_bytes = config.memory_bytes;
  options.keep_results = std::chrono::seconds(config.keep_results_seconds);
  options.keep_idle_keys = std::chrono::seconds(config.keep_idle_keys_seconds);
  options.audit = config.audit;
  options.audit_keep_bytes = config.audit_keep_bytes;
  options.configuration = server::config_digest(config);
  options.quota.key_bytes = config.quota_key_bytes;
  options.quota.key_sets = config.quota_key_sets;
  options.quota.jobs = config.quota_jobs;
  options.quota.results = config.quota_results;
  options.quota.requests_per_second = config.quota_requests_per_second;
  options.quota.burst = config.quota_burst;
  options.quota.inferences_per_day = config.quota_inferences_per_day;
  options.flooding.bits = static_cast<int>(config.flooding_bits);
  options.flooding.precision_bits = static_cast<int>(config.precision_bits);
  return options;
}

Status serve(const server::Config& config) {
  TACIT_CHECK(server::check(config));
  const sigset_t signals = block_signals();
  TACIT_TRY(const server::HttpOptions http, http_options(config));
  server::memory_reserve.put_by();
  // What is freed of large blocks goes back to the system. By default the allocator puts ever larger ones, up to 32 MiB, into the
  // arenas of its threads, each of which keeps as much.
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
  TACIT_CHECK(server::start_log(config.log_level, config.log_format));
  std::optional<tbb::global_control> cores;
  if (config.threads > 0) cores.emplace(tbb::global_control::max_allowed_parallelism, config.threads);

  TACIT_TRY(const std::unique_ptr<server::Application> application,
            server::Application::create(application_options(config)));
  TACIT_CHECK(check_open(*application, http));
  warn_of_clear_text(http);
  allow_descriptors(http.max_connections);
  TACIT_TRY(const std::unique_ptr<server::HttpServer> server, server::HttpServer::start(*application, http));
  say("listening on " + server->url());
  notify_service_manager("READY=1\nSTATUS=Listening on " + server->url());

  int signal = 0;
  while (sigwait(&signals, &signal) == 0 && signal == SIGHUP) reload(*server, *application);
  notify_service_manager("STOPPING=1\nSTATUS=Finishing what runs");
  std::signal(SIGHUP, SIG_IGN);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);  // a second one ends the process at once
  server::log_info("stopping: finishing what runs");
  application->announce_stop();
  const bool whole = server->stop();
  application->note_end(whole);
  if (!whole) {
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
  tacit::CommandLine line;
  tacit::declare(app, line);
  tacit::Action action;
  tacit::add_token_verb(app, action);
  tacit::add_tenant_verb(app, action);
  tacit::add_state_verbs(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) { return app.exit(error) == 0 ? 0 : 2; }
  const auto serve = [&]() -> tacit::Status {
    TACIT_TRY(const tacit::server::Config config, tacit::read_configuration(app, line));
    if (line.list_config) {
      tacit::list_config(config);
      return {};
    }
    tacit::warn_of_strange_variables();
    return line.check_config ? tacit::check_configuration(config) : tacit::serve(config);
  };
  // The state tells who uses the service: what this process makes is for its user alone.
  ::umask(0077);
  // Tokens, ciphertexts and weights pass through this process: none of them may end in a core dump.
  tacit::Status status = tacit::forbid_dumps();
  if (status.ok()) status = action ? action() : serve();
  tacit::server::stop_log();
  if (status.ok()) return 0;
  tacit::say(status.error().to_line());
  return status.error().code == tacit::ErrorCode::kInvalidArgument ||
                 status.error().code == tacit::ErrorCode::kConfigInvalid
             ? 2
             : 1;
}
