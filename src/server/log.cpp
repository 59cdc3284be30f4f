// SPDX-License-Identifier: Apache-2.0
#include "server/log.h"

#include <spdlog/async.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>
#include <mutex>

#include "base/printable.h"
#include "server/json.h"
#include "server/time_text.h"

namespace tacit::server {
namespace {

constexpr std::size_t kMaxWaitingLines = 8192;

struct Logger {
  std::mutex mutex;
  std::shared_ptr<spdlog::details::thread_pool> thread;
  std::shared_ptr<spdlog::logger> logger;
  bool json = false;
};

Logger& instance() {
  static Logger logger;
  return logger;
}

std::string_view name_of(spdlog::level::level_enum level) {
  const auto name = spdlog::level::to_string_view(level);
  return {name.data(), name.size()};
}

Json json_value(const LogField& field) {
  return std::visit([](auto value) { return Json(value); }, field.value);
}

// As it is where it cannot be taken for anything else, or as a JSON string.
std::string text_value(const LogField& field) {
  const auto* text = std::get_if<std::string_view>(&field.value);
  if (text == nullptr) return dump(json_value(field));
  const bool plain = !text->empty() && std::ranges::all_of(*text, [](char c) {
    return c > ' ' && c < 127 && c != '"' && c != '=' && c != '\\';
  });
  return plain ? std::string(*text) : dump(json_value(field));
}

void write(spdlog::level::level_enum level, std::string_view message, LogFields fields) noexcept try {
  std::shared_ptr<spdlog::logger> logger;
  bool json = false;
  {
    const std::lock_guard lock(instance().mutex);
    logger = instance().logger;
    json = instance().json;
  }
  if (!logger || !logger->should_log(level)) return;
  const std::string line =
      json ? json_line(time_text(now()), name_of(level), message, fields) : text_line(message, fields);
  logger->log(level, spdlog::string_view_t(line.data(), line.size()));
} catch (const std::exception&) {
  // Whoever has something to say is in the middle of something more important.
}

}  // namespace

std::string text_line(std::string_view message, LogFields fields) {
  std::string line = printable(message, std::string::npos);
  for (const LogField& field : fields)
    line.append(" ").append(field.name).append("=").append(text_value(field));
  return line;
}

std::string json_line(std::string_view time, std::string_view level, std::string_view message,
                      LogFields fields) {
  Json line = {{"time", time}, {"level", level}, {"message", message}};
  for (const LogField& field : fields) line[std::string(field.name)] = json_value(field);
  return dump(line);
}

Status start_log(std::string_view level, std::string_view format) {
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
  if (format != "text" && format != "json")
    return Error{ErrorCode::kInvalidArgument,
                 "\"" + std::string(format) + "\" is no format of the log; use text or json"};
  const std::lock_guard lock(instance().mutex);
  instance().json = format == "json";
  instance().thread = std::make_shared<spdlog::details::thread_pool>(kMaxWaitingLines, 1);
  instance().logger = std::make_shared<spdlog::async_logger>(
      "tacitd", std::make_shared<spdlog::sinks::stderr_sink_mt>(), instance().thread,
      spdlog::async_overflow_policy::overrun_oldest);
  instance().logger->set_pattern(instance().json ? "%v" : "%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  instance().logger->set_level(chosen);
  instance().logger->flush_on(spdlog::level::info);
  return {};
}

void stop_log() {
  const std::lock_guard lock(instance().mutex);
  const auto logger = std::move(instance().logger);  // goes last: the thread uses it until it is joined
  instance().thread.reset();                         // joins its thread after the last line
}

std::uint64_t lost_log_lines() {
  const std::lock_guard lock(instance().mutex);
  return instance().thread ? instance().thread->overrun_counter() : 0;
}

void log_info(std::string_view message, LogFields fields) noexcept {
  write(spdlog::level::info, message, fields);
}
void log_warning(std::string_view message, LogFields fields) noexcept {
  write(spdlog::level::warn, message, fields);
}
void log_error(std::string_view message, LogFields fields) noexcept {
  write(spdlog::level::err, message, fields);
}

void log_error(std::string_view message, const Error& error, std::string_view request_id) noexcept {
  const LogField code("code", to_string(error.code)), detail("error", error.message);
  if (request_id.empty()) return log_error(message, {code, detail});
  log_error(message, {{"request_id", request_id}, code, detail});
}

}  // namespace tacit::server
