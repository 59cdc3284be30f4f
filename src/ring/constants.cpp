// SPDX-License-Identifier: Apache-2.0
#include "ring/constants.h"

namespace tacit::ring {

Constants::Constants(std::size_t n, const std::vector<Modulus>& moduli, std::size_t rows)
    : degree_(n), rows_(rows), moduli_(moduli) {
  std::size_t size = 0;
  for (const Modulus& q : moduli) {
    offsets_.push_back(size);
    size += n * rows * ConstantRows::residue_bytes(q);
  }
  bytes_.resize(size);
}

std::size_t Constants::memory_bytes(std::size_t n, const std::vector<Modulus>& moduli, std::size_t rows) {
  std::size_t size = 0;
  for (const Modulus& q : moduli) size += n * rows * ConstantRows::residue_bytes(q);
  return size;
}

ConstantRows Constants::limb(std::size_t i, std::size_t first) const {
  return {bytes_.data() + offsets_[i] + first * rows_ * ConstantRows::residue_bytes(moduli_[i]), rows_};
}

void Constants::store(std::size_t i, std::size_t row, const u64* words) {
  const ConstantRows rows = limb(i);
  std::uint8_t* bytes = bytes_.data() + offsets_[i];
  if (ConstantRows::narrow(moduli_[i])) {
    auto* narrow = reinterpret_cast<std::uint32_t*>(bytes);
    for (std::size_t k = 0; k < degree_; ++k)
      narrow[rows.index(k, row)] = static_cast<std::uint32_t>(words[k]);
  } else {
    auto* wide = reinterpret_cast<u64*>(bytes);
    for (std::size_t k = 0; k < degree_; ++k) wide[rows.index(k, row)] = words[k];
  }
}

void Constants::load(std::size_t i, std::size_t row, u64* words) const {
  const ConstantRows rows = limb(i);
  const bool narrow = ConstantRows::narrow(moduli_[i]);
  for (std::size_t k = 0; k < degree_; ++k) {
    const std::size_t index = rows.index(k, row);
    words[k] = narrow ? rows.narrow_words()[index] : rows.wide_words()[index];
  }
}

}  // namespace tacit::ring
