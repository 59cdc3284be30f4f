// SPDX-License-Identifier: Apache-2.0
// Which taps of a window lie inside of an image, along one axis.
#pragma once

#include <algorithm>
#include <cstdint>

namespace tacit::graph {

// The taps t in [begin, end) of a kernel for which first + t * dilation lies in [0, size); empty where there
// is none.
struct Taps {
  std::int64_t begin, end;
};

inline Taps taps_inside(std::int64_t first, std::int64_t dilation, std::int64_t kernel, std::int64_t size) {
  std::int64_t begin = first >= 0 ? 0 : (-first + dilation - 1) / dilation;
  std::int64_t end = first >= size ? 0 : std::min(kernel, (size - 1 - first) / dilation + 1);
  return {begin, std::max(begin, end)};
}

}  // namespace tacit::graph
