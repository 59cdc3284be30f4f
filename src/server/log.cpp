// SPDX-License-Identifier: Apache-2.0
#include "server/log.h"

#include <spdlog/async.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <mutex>

namespace tacit::server {
namespace {

constexpr std::size_t kMaxWaitingLines = 8192;

struct Logger {
  std::mutex mutex;
  std::shared_ptr<spdlog::details::thread_pool> thread;
  std::shared_ptr<spdlog::logger> logger;
};

Logger& instance() {
  static Logger logger;
  return logger;
}

std::shared_ptr<spdlog::logger> current() {
  const std::lock_guard lock(instance().mutex);
  return instance().logger;
}

void write(spdlog::level::level_enum level, std::string_view line) {
  if (const auto logger = current()) logger->log(level, spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace

Status start_log(std::string_view level) {
  auto chosen = spdlog::level::off;
  if (level == "debug") {
    chosen = spdlog::level::debug;
  } else if (level == "info") {
    chosen = spdlog::level::info;
  } else if (level == "warning") {
    chosen = spdlog::level::warn;
  } else if (level == "error") {
    chosen = spdlog::level::err;
  } else if (level != "off") {
    return Error{ErrorCode::kInvalidArgument,
                 "\"" + std::string(level) + "\" is no log level; use debug, info, warning, error or off"};
  }
  const std::lock_guard lock(instance().mutex);
  instance().thread = std::make_shared<spdlog::details::thread_pool>(kMaxWaitingLines, 1);
  instance().logger = std::make_shared<spdlog::async_logger>(
      "tacitd", std::make_shared<spdlog::sinks::stderr_sink_mt>(), instance().thread,
      spdlog::async_overflow_policy::overrun_oldest);
  instance().logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  instance().logger->set_level(chosen);
  instance().logger->flush_on(spdlog::level::info);
  return {};
}

void stop_log() {
  const std::lock_guard lock(instance().mutex);
  const auto logger = std::move(instance().logger);  // goes last: the thread uses it until it is joined
  instance().thread.reset();                         // joins its thread after the last line
}

void log_info(std::string_view line) { write(spdlog::level::info, line); }
void log_warning(std::string_view line) { write(spdlog::level::warn, line); }
void log_error(std::string_view line) { write(spdlog::level::err, line); }

}  // namespace tacit::server
