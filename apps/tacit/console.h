// SPDX-License-Identifier: Apache-2.0
// What the program says: one JSON object on standard output for programs, lines on standard error for people.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tacit::app {

// Prints `object` and a line break on standard output. A verb calls it at most once, as its last act.
void print_json(const nlohmann::ordered_json& object);
// Prints one line on standard error.
void say(std::string_view line);

// "1.5 MB", "830 kB", "12 B" (powers of 1000).
std::string format_bytes(std::uint64_t bytes);
// "1.4 s", "830 ms", "2 min 5 s".
std::string format_ms(double milliseconds);
// "12.5" for 12.54 with one decimal.
std::string format_number(double value, int decimals);

// A long step: on a terminal one line that is rewritten, elsewhere a line when it starts, at most one every
// ten seconds, and one when it is done. Nothing is printed for a step that reports no progress and is never
// finished.
class ProgressLine {
 public:
  // `what` begins the line, for instance "evaluation keys".
  explicit ProgressLine(std::string what);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // `done` of `total` steps; `note` is put behind the figures.
  void update(std::uint64_t done, std::uint64_t total, std::string_view note = {});
  // The same for bytes.
  void update_bytes(std::uint64_t done, std::uint64_t total);
  // The last line: "<what>: <note>", or the time that it took.
  void finish(std::string_view note = {});

 private:
  void show(const std::string& text, bool last);
  std::string what_;
  std::chrono::steady_clock::time_point start_, shown_;
  bool terminal_, begun_ = false, finished_ = false;
};

// Milliseconds since its construction.
class Stopwatch {
 public:
  double milliseconds() const {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// The middle value, or the mean of the two in the middle; 0 for none.
double median(std::span<const double> values);

// The most memory that this process has occupied so far (resident set).
std::uint64_t peak_memory_bytes();

}  // namespace tacit::app
