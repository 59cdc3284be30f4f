// SPDX-License-Identifier: Apache-2.0
// The parameter sets that operations are measured at, and everything that an operation needs.
#pragma once

#include <string>

#include "ckks/encoder.h"
#include "ckks/evaluator.h"
#include "secret/keygen.h"
#include "support/program.h"

namespace tacit::bench {

using program::unwrap;

// q_0 of base_bits, `levels` primes of scale_bits, special_count primes of special_bits; keys of the whole chain.
struct Setting {
  int log_degree, base_bits, scale_bits, levels, digit_size, special_bits, special_count;
};

// What fits 128 bits of security with P no smaller than the largest digit: from one square to a deep network. Those at
// 2^13, 2^14 and 2^15 are also what docs/performance.md compares with other libraries.
inline constexpr Setting kSettings[] = {{12, 30, 22, 2, 1, 31, 1},
                                        {13, 38, 26, 5, 1, 45, 1},
                                        {14, 50, 40, 7, 2, 49, 2},
                                        {15, 50, 40, 17, 3, 46, 3},
                                        {16, 50, 40, 29, 4, 45, 4}};

// In words, for the table.
std::string describe(const Setting& setting);

// A secret key with all that computes under it, random values, and a ciphertext of them at the highest level.
class Scheme {
 public:
  explicit Scheme(const Setting& setting);
  // The one of this setting. All are kept (3 GB): freed, their blocks would fill the pool that operations allocate from.
  static Scheme& of(const Setting& setting);

  // Makes the key unless there is one.
  void need_key(std::uint32_t element);
  void need_rotation(std::int64_t step) { need_key(ckks::rotation_element(parameters, step)); }

  std::size_t key_bytes() const;
  // docs/key-switching.md: transforms of a whole key switch, of splitting into digits, and of a division by P of two
  // polynomials.
  std::size_t switch_transforms() const { return digit_transforms() + division_transforms(); }
  std::size_t digit_transforms() const { return shape.digits() * limbs(); }
  std::size_t division_transforms() const { return 2 * limbs(); }
  std::size_t data_limbs() const { return parameters.literal().primes.size(); }
  int level() const { return parameters.max_level(); }

  ckks::Parameters parameters;
  ckks::KeyShape shape;
  double scale;
  secret::SecretKey key;
  secret::KeyHolder holder;
  ckks::Encoder encoder;
  ckks::Evaluator evaluator;
  ckks::EvaluationKeys keys;
  std::vector<double> values;
  ckks::Plaintext plaintext;
  ckks::Ciphertext ciphertext;

 private:
  std::size_t limbs() const { return ckks::extended_limbs(shape.level, shape.special_count); }
};

}  // namespace tacit::bench
