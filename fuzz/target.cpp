// SPDX-License-Identifier: Apache-2.0
#include "target.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace tacit::fuzz {

std::map<std::string, Entry>& targets() {
  static std::map<std::string, Entry> all;
  return all;
}

void require(bool holds, std::string_view what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

void require_sound(const Error& error) {
  const auto is_control = [](char c) { return (c >= 0 && c < ' ') || c == 127; };
  const bool sound = error.code != ErrorCode::kInternal && !error.message.empty() &&
                     std::ranges::none_of(error.message, is_control);
  require(sound, "a refusal says in one line what is wrong: " + error.to_line());
}

std::uint64_t Input::word(std::size_t width) {
  std::uint64_t value = 0;
  const ByteView bytes = take(width);
  for (std::size_t i = 0; i < bytes.size(); ++i) value |= std::uint64_t{bytes[i]} << (8 * i);
  return value;
}

ByteView Input::take(std::size_t count) {
  const ByteView taken = rest_.first(std::min(count, rest_.size()));
  rest_ = rest_.subspan(taken.size());
  return taken;
}

Bytes extended(ByteView bytes, std::size_t size, std::size_t shorter, std::uint8_t fill) {
  Bytes whole(bytes.begin(), bytes.end());
  if (whole.size() < size) whole.resize(size, fill);
  whole.erase(whole.end() - static_cast<std::ptrdiff_t>(std::min(whole.size(), shorter)), whole.end());
  return whole;
}

}  // namespace tacit::fuzz
