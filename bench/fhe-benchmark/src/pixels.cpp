// SPDX-License-Identifier: Apache-2.0
#include "pixels.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

#include "base/parallel.h"

namespace tacit::fhe_benchmark {
namespace {

Error invalid(std::size_t line, const std::string& what) {
  return Error{ErrorCode::kDatasetInvalid, "line " + std::to_string(line + 1) + " of the pixels " + what};
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

bool is_space(char c) { return c == ' ' || c == '\r'; }

Status read_line(std::string_view text, std::size_t line, std::span<float, kInputs> inputs) {
  std::array<float, kPixels> pixels;
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto skip_spaces = [&] {
    while (at != end && is_space(*at)) ++at;
  };
  skip_spaces();
  for (std::size_t i = 0; i < kPixels; ++i) {
    const auto [next, error] = std::from_chars(at, end, pixels[i]);
    if (error != std::errc{} || (next != end && !is_space(*next)))
      return invalid(line,
                     "has no number in place " + std::to_string(i + 1) + " of " + std::to_string(kPixels));
    if (!(pixels[i] >= 0 && pixels[i] <= 1)) return invalid(line, "has a number that is not in [0, 1]");
    at = next;
    skip_spaces();
  }
  if (at != end) return invalid(line, "has more than " + std::to_string(kPixels) + " numbers");
  reduce(pixels, inputs);
  return {};
}

}  // namespace

void reduce(std::span<const float, kPixels> pixels, std::span<float, kInputs> inputs) {
  for (std::size_t row = 0; row < kReducedSide; ++row) {
    for (std::size_t column = 0; column < kReducedSide; ++column) {
      float sum = 0;
      for (std::size_t y = 0; y < kPool; ++y)
        for (std::size_t x = 0; x < kPool; ++x)
          sum += pixels[(kCut + kPool * row + y) * kSide + kCut + kPool * column + x];
      inputs[row * kReducedSide + column] = sum / static_cast<float>(kPool * kPool);
    }
  }
}

Result<std::vector<float>> read_inputs(std::string_view text) {
  const std::vector<std::string_view> lines = split_lines(text);
  if (lines.empty()) return Error{ErrorCode::kDatasetInvalid, "there are no pixels; give 784 numbers a line"};
  std::vector<float> inputs(lines.size() * kInputs);
  std::vector<Status> statuses(lines.size());
  parallel_for(lines.size(), [&](std::size_t i) {
    statuses[i] = read_line(lines[i], i, std::span<float, kInputs>(&inputs[i * kInputs], kInputs));
  });
  for (Status& status : statuses) TACIT_CHECK(status);
  return inputs;
}

}  // namespace tacit::fhe_benchmark
