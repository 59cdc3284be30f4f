// SPDX-License-Identifier: Apache-2.0
#include "ring/compact_limb.h"

#include <algorithm>

namespace tacit::ring {

void CompactPoly::store(std::size_t i, const u64* words) {
  std::uint8_t* bytes = bytes_.data() + offsets_[i];
  if (narrow_[i]) {
    auto* narrow = reinterpret_cast<std::uint32_t*>(bytes);
    for (std::size_t k = 0; k < degree_; ++k) narrow[k] = static_cast<std::uint32_t>(words[k]);
  } else {
    std::copy_n(words, degree_, reinterpret_cast<u64*>(bytes));
  }
}

void CompactPoly::load(std::size_t i, u64* words) const {
  if (narrow_[i]) {
    std::copy_n(limb(i).narrow_words(), degree_, words);
  } else {
    std::copy_n(limb(i).wide_words(), degree_, words);
  }
}

}  // namespace tacit::ring
