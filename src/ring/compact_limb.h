// SPDX-License-Identifier: Apache-2.0
// Constants of evaluation keys and encoded plaintexts as they are kept in memory: they are read once for each use and
// there are many, so the bytes of a residue are the price of using it.
#pragma once

#include "base/aligned.h"
#include "ring/modulus.h"

namespace tacit::ring {

// Residues modulo one prime, as 32-bit words where the prime is below 2^32, else as 64-bit ones. A view.
struct CompactLimb {
  const void* words = nullptr;

  static bool narrow(const Modulus& q) { return q.bits() <= 32; }
  // The same residues from place `first` on.
  CompactLimb from(const Modulus& q, std::size_t first) const {
    return {static_cast<const std::uint8_t*>(words) + bytes(q, first)};
  }
  static std::size_t bytes(const Modulus& q, std::size_t n) { return n * (narrow(q) ? 4 : 8); }
  const std::uint32_t* narrow_words() const { return static_cast<const std::uint32_t*>(words); }
  const u64* wide_words() const { return static_cast<const u64*>(words); }
};

// A polynomial of such limbs, limb after limb, each on a cache line.
class CompactPoly {
 public:
  CompactPoly() = default;
  // Room for a limb modulo each of `moduli`, n words each.
  template <class Moduli>
  CompactPoly(std::size_t n, const Moduli& moduli) : degree_(n) {
    std::size_t size = 0;
    for (const Modulus& q : moduli) {
      offsets_.push_back(size);
      narrow_.push_back(CompactLimb::narrow(q));
      size += CompactLimb::bytes(q, n);
    }
    bytes_.resize(size);
  }

  std::size_t degree() const { return degree_; }
  std::size_t limbs() const { return offsets_.size(); }
  std::size_t memory_bytes() const { return bytes_.size(); }
  CompactLimb limb(std::size_t i) const { return {bytes_.data() + offsets_[i]}; }
  // Stores the n residues at `words`, and gives them back.
  void store(std::size_t i, const u64* words);
  void load(std::size_t i, u64* words) const;

  friend bool operator==(const CompactPoly&, const CompactPoly&) = default;

 private:
  std::size_t degree_ = 0;
  std::vector<std::size_t> offsets_;
  std::vector<bool> narrow_;
  AlignedVector<std::uint8_t> bytes_;
};

}  // namespace tacit::ring
