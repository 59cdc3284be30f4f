// SPDX-License-Identifier: Apache-2.0
// The server's log: lines on standard error, written by a thread of its own so that nobody waits for a slow reader; where that thread
// does not keep up, the oldest lines go; one for which there is no memory goes too, as nothing here throws. Lines never hold tokens,
// bodies, keys or ciphertexts.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"

namespace tacit::server {

// A fact beside a line's message: {"status", 200}.
struct LogField {
  LogField(std::string_view n, std::string_view text) : name(n), value(text) {}
  LogField(std::string_view n, double number) : name(n), value(number) {}
  template <std::integral Integer>
  LogField(std::string_view n, Integer number) : name(n), value(static_cast<std::int64_t>(number)) {}
  std::string_view name;
  std::variant<std::string_view, std::int64_t, double> value;
};
using LogFields = std::initializer_list<LogField>;

// "debug", "info", "warning", "error" or "off"; "text" for people or "json", an object on each line. kInvalidArgument. Until it is
// called nothing is logged.
Status start_log(std::string_view level, std::string_view format = "text");
// Writes what is left.
void stop_log();
// Lines that were given up because nobody read them in time.
std::uint64_t lost_log_lines();

// One line: a message, and facts by name.
void log_info(std::string_view message, LogFields fields = {}) noexcept;
void log_warning(std::string_view message, LogFields fields = {}) noexcept;
void log_error(std::string_view message, LogFields fields = {}) noexcept;
// The error's code and message as fields.
void log_error(std::string_view message, const Error& error, std::string_view request_id = {}) noexcept;

// What start_log's two formats make of a line, without its time and level, and whole.
std::string text_line(std::string_view message, LogFields fields);
std::string json_line(std::string_view time, std::string_view level, std::string_view message,
                      LogFields fields);

}  // namespace tacit::server
