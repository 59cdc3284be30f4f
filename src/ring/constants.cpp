// SPDX-License-Identifier: Apache-2.0
#include "ring/constants.h"

#include <bit>
#include <cstring>

namespace tacit::ring {

static_assert(std::endian::native == std::endian::little, "residues are copied as the low bytes of words");

Constants::Constants(std::size_t n, const std::vector<Modulus>& moduli, std::size_t rows)
    : degree_(n), rows_(rows), moduli_(moduli), bytes_(memory_bytes(n, moduli, rows)) {
  std::size_t offset = 0;
  for (const Modulus& q : moduli) {
    offsets_.push_back(offset);
    offset += n * rows * ConstantRows::width(q);
  }
  // What may be read ahead is defined, though it never matters.
  std::memset(bytes_.data() + offset, 0, bytes_.size() - offset);
}

std::size_t Constants::memory_bytes(std::size_t n, const std::vector<Modulus>& moduli, std::size_t rows) {
  std::size_t size = ConstantRows::kReadAhead;
  for (const Modulus& q : moduli) size += n * rows * ConstantRows::width(q);
  return size;
}

ConstantRows Constants::limb(std::size_t i, std::size_t first) const {
  return {bytes_.data() + offsets_[i] + first * rows_ * ConstantRows::width(moduli_[i]), rows_};
}

void Constants::store(std::size_t i, std::size_t row, const u64* words) {
  const std::size_t width = ConstantRows::width(moduli_[i]);
  const ConstantRows rows = limb(i);
  for (std::size_t k = 0; k < degree_; ++k) {
    std::memcpy(bytes_.data() + offsets_[i] + rows.offset(k, row, width), &words[k], width);
  }
}

void Constants::load(std::size_t i, std::size_t row, u64* words) const {
  const std::size_t width = ConstantRows::width(moduli_[i]);
  const ConstantRows rows = limb(i);
  for (std::size_t k = 0; k < degree_; ++k) {
    words[k] = 0;
    std::memcpy(&words[k], rows.at(k, row, width), width);
  }
}

}  // namespace tacit::ring
