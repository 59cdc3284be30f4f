// SPDX-License-Identifier: Apache-2.0
// Polynomials of constants (evaluation keys, encoded plaintexts) as sums of products read them. Each use reads all of
// them once, so their bytes are its price: they lie in the order of reading, which the memory then streams at its full
// rate, and in as few bytes as their prime allows.
#pragma once

#include <type_traits>
#include <vector>

#include "base/aligned.h"
#include "ring/modulus.h"

namespace tacit::ring {

// The limbs modulo one prime of several polynomials, the rows: of each eight places all rows, one after the other, each
// residue in as many whole bytes as its prime has (little-endian; at least four). kReadAhead bytes after the last one may
// be read. A view.
struct ConstantRows {
  const std::uint8_t* bytes = nullptr;
  std::size_t rows = 0;

  static constexpr std::size_t kMinWidth = 4, kMaxWidth = 7, kReadAhead = 64;
  // Bytes of a residue modulo q.
  static std::size_t width(const Modulus& q) {
    return q.bits() <= 32 ? kMinWidth : static_cast<std::size_t>(q.bits() + 7) / 8;
  }
  // Where the residue at `place` of a row begins.
  std::size_t offset(std::size_t place, std::size_t row, std::size_t width) const {
    return (8 * (place / 8 * rows + row) + place % 8) * width;
  }
  const std::uint8_t* at(std::size_t place, std::size_t row, std::size_t width) const {
    return bytes + offset(place, row, width);
  }
};

// Asks for what follows `bytes` in a stream of constants, into the second-level cache, which waits for more of the
// memory's answers at once than the first. The processor's own foresight ends with the page, and its window holds too
// few loads to bridge the wait. Beyond the stream's end this does nothing. Inlined,
// or GCC drops the call as one without effects.
[[gnu::always_inline]] inline void prefetch_constants(const std::uint8_t* bytes) {
  constexpr std::size_t kDistance = 4096;
  __builtin_prefetch(bytes + kDistance, /*rw=*/0, /*locality=*/2);
}

// Calls run(std::integral_constant<int, w>) with the width w of constants modulo q, for loops compiled for each width.
template <class Run>
void with_constant_width(const Modulus& q, const Run& run) {
  switch (ConstantRows::width(q)) {
    case 4:
      return run(std::integral_constant<int, 4>{});
    case 5:
      return run(std::integral_constant<int, 5>{});
    case 6:
      return run(std::integral_constant<int, 6>{});
    default:
      return run(std::integral_constant<int, 7>{});
  }
}

// Such rows for each of several primes.
class Constants {
 public:
  Constants() = default;
  // Uninitialised: `rows` polynomials of n residues modulo each of `moduli`. n is a multiple of 8.
  Constants(std::size_t n, const std::vector<Modulus>& moduli, std::size_t rows);

  // What the constructor allocates.
  static std::size_t memory_bytes(std::size_t n, const std::vector<Modulus>& moduli, std::size_t rows);
  std::size_t memory_bytes() const { return bytes_.size(); }

  std::size_t rows() const { return rows_; }
  std::size_t limbs() const { return moduli_.size(); }
  const Modulus& modulus(std::size_t limb) const { return moduli_[limb]; }
  // The rows of one limb, from place `first` on, a multiple of 8.
  ConstantRows limb(std::size_t i, std::size_t first = 0) const;

  // Stores the n residues at `words` as limb i of a row, and gives them back. Different rows may be stored at once.
  void store(std::size_t i, std::size_t row, const u64* words);
  void load(std::size_t i, std::size_t row, u64* words) const;

  friend bool operator==(const Constants&, const Constants&) = default;

 private:
  std::size_t degree_ = 0, rows_ = 0;
  std::vector<Modulus> moduli_;
  std::vector<std::size_t> offsets_;
  AlignedVector<std::uint8_t> bytes_;
};

}  // namespace tacit::ring
