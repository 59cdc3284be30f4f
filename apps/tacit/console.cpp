// SPDX-License-Identifier: Apache-2.0
#include "console.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <vector>

namespace tacit::app {
namespace {

constexpr auto kTerminalInterval = std::chrono::milliseconds(100);
constexpr auto kPlainInterval = std::chrono::seconds(10);

void write_line(std::FILE* stream, std::string text) {
  text.push_back('\n');
  std::fwrite(text.data(), 1, text.size(), stream);
  std::fflush(stream);
}

}  // namespace

void print_json(const nlohmann::ordered_json& object) {
  // Names of files need not be UTF-8.
  write_line(stdout, object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

void say(std::string_view line) { write_line(stderr, std::string(line)); }

std::string format_number(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

std::string format_bytes(std::uint64_t bytes) {
  static constexpr const char* kUnits[] = {" B", " kB", " MB", " GB", " TB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1000 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return format_number(value, unit == 0 || value >= 100 ? 0 : 1) + kUnits[unit];
}

std::string format_ms(double milliseconds) {
  if (milliseconds < 10) return format_number(milliseconds, 1) + " ms";
  if (milliseconds < 1000) return format_number(milliseconds, 0) + " ms";
  if (milliseconds < 60'000) return format_number(milliseconds / 1000, milliseconds < 10'000 ? 2 : 1) + " s";
  auto seconds = static_cast<std::uint64_t>(std::llround(milliseconds / 1000));
  return std::to_string(seconds / 60) + " min " + std::to_string(seconds % 60) + " s";
}

ProgressLine::ProgressLine(std::string what)
    : what_(std::move(what)),
      start_(std::chrono::steady_clock::now()),
      shown_(start_),
      terminal_(::isatty(2) == 1) {}

ProgressLine::~ProgressLine() {
  // A step that an error ended leaves its line as it was; the message follows on one of its own.
  if (terminal_ && begun_ && !finished_) std::fputc('\n', stderr);
}

void ProgressLine::show(const std::string& text, bool last) {
  auto now = std::chrono::steady_clock::now();
  if (!terminal_) {
    if (begun_ && !last && now - shown_ < kPlainInterval) return;
    say(what_ + ": " + text);
  } else {
    if (begun_ && !last && now - shown_ < kTerminalInterval) return;
    std::string line = "\r\x1b[K" + what_ + ": " + text + (last ? "\n" : "");
    std::fwrite(line.data(), 1, line.size(), stderr);
    std::fflush(stderr);
  }
  begun_ = true;
  shown_ = now;
}

void ProgressLine::update(std::uint64_t done, std::uint64_t total, std::string_view note) {
  show(std::to_string(done) + " of " + std::to_string(total) + (note.empty() ? "" : ", ") + std::string(note),
       false);
}

void ProgressLine::update_bytes(std::uint64_t done, std::uint64_t total) {
  show(format_bytes(done) + " of " + format_bytes(total), false);
}

void ProgressLine::finish(std::string_view note) {
  if (finished_) return;
  finished_ = true;
  auto elapsed = std::chrono::steady_clock::now() - start_;
  show(note.empty() ? "done in " + format_ms(std::chrono::duration<double, std::milli>(elapsed).count())
                    : std::string(note),
       true);
}

double median(std::span<const double> values) {
  if (values.empty()) return 0;
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  std::size_t middle = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

std::uint64_t peak_memory_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    unsigned long long kilobytes = 0;
    if (std::sscanf(line.c_str(), "VmHWM: %llu kB", &kilobytes) == 1) return std::uint64_t{kilobytes} << 10;
  }
  return 0;
}

}  // namespace tacit::app
