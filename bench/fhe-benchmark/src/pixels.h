// SPDX-License-Identifier: Apache-2.0
// The client's preprocessing: the suite's text of pixels to the network's inputs.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tacit::fhe_benchmark {

inline constexpr std::size_t kSide = 28, kPixels = kSide * kSide;
// Two pixels at each border are cut off, where the digits of MNIST have next to nothing (they are 20x20, centred by mass);
// of the others, blocks of 2x2 are averaged.
inline constexpr std::size_t kCut = 2, kPool = 2;
inline constexpr std::size_t kReducedSide = (kSide - 2 * kCut) / kPool, kInputs = kReducedSide * kReducedSide;

// pixels[28, 28] to inputs[12, 12], row-major.
void reduce(std::span<const float, kPixels> pixels, std::span<float, kInputs> inputs);

// kInputs numbers for each line of `text`, which has 784 numbers in [0, 1] on each, separated by spaces; an empty line may
// end it. dataset.invalid, naming the line, for anything else, and where there is no line.
Result<std::vector<float>> read_inputs(std::string_view text);

}  // namespace tacit::fhe_benchmark
