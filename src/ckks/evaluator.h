// SPDX-License-Identifier: Apache-2.0
// Computing on ciphertexts with public material only. Every operation checks levels, scales and keys and answers with a
// Result; with one special prime and digits of one prime, the results are SEAL's to the bit.
#pragma once

#include "ckks/key_switcher.h"

namespace tacit::ckks {

// Scales count as equal within a relative 2^-40: far above what double arithmetic loses, far below the noise.
bool same_scale(double a, double b);

// A ciphertext whose second part has been split into digits once, for any number of rotations.
struct HoistedCiphertext {
  const Ciphertext* source = nullptr;  // must outlive it
  Digits digits;
};

// Immutable and safe to share between threads.
class Evaluator {
 public:
  explicit Evaluator(const Parameters& parameters) : parameters_(parameters), switcher_(parameters) {}

  // Level and scale of both must agree (kLevelMismatch, kScaleMismatch); sizes may differ.
  Result<Ciphertext> add(const Ciphertext& a, const Ciphertext& b) const;
  Result<Ciphertext> subtract(const Ciphertext& a, const Ciphertext& b) const;
  Ciphertext negate(const Ciphertext& a) const;
  Result<Ciphertext> add_plain(const Ciphertext& a, const Plaintext& b) const;
  // The scale is the product of the scales; no rescale.
  Result<Ciphertext> multiply_plain(const Ciphertext& a, const Plaintext& b) const;
  // A real number to every slot, exactly round(c * scale). kValueOutOfRange beyond 2^62.
  Result<Ciphertext> add_scalar(const Ciphertext& a, double c) const;
  // Every slot times round(c * scale) / scale; the scale grows by `scale`; no rescale.
  Result<Ciphertext> multiply_scalar(const Ciphertext& a, double c, double scale) const;

  // (c_0, c_1, c_2) from two-part ciphertexts of the same level; scale is the product.
  Result<Ciphertext> multiply(const Ciphertext& a, const Ciphertext& b) const;
  Result<Ciphertext> square(const Ciphertext& a) const { return multiply(a, a); }
  // (c_0, c_1, c_2) to (c_0, c_1).
  Result<Ciphertext> relinearise(const Ciphertext& a, const EvaluationKeys& keys) const {
    return relinearise(a, keys, false);
  }
  // relinearise, then rescale, with one rounding: what SEAL needs two for. One level down; scale / q_level.
  Result<Ciphertext> relinearise_rescale(const Ciphertext& a, const EvaluationKeys& keys) const {
    return relinearise(a, keys, true);
  }
  // multiply, then relinearise or relinearise_rescale, to the same words, without the product's first parts in between.
  Result<Ciphertext> multiply_relinearise(const Ciphertext& a, const Ciphertext& b,
                                          const EvaluationKeys& keys) const {
    return multiply_relinearise(a, b, keys, false);
  }
  Result<Ciphertext> multiply_relinearise_rescale(const Ciphertext& a, const Ciphertext& b,
                                                  const EvaluationKeys& keys) const {
    return multiply_relinearise(a, b, keys, true);
  }
  // One level down; scale / q_level. kLevelMismatch at level 0.
  Result<Ciphertext> rescale(const Ciphertext& a) const;
  // Forgets limbs; value and scale stay. `level` must not be above the ciphertext's.
  Result<Ciphertext> drop(const Ciphertext& a, int level) const;

  // Slot i of the result is slot i + step of `a` (step modulo the slot count).
  Result<Ciphertext> rotate(const Ciphertext& a, std::int64_t step, const EvaluationKeys& keys) const;
  Result<Ciphertext> conjugate(const Ciphertext& a, const EvaluationKeys& keys) const;
  Result<Ciphertext> apply_automorphism(const Ciphertext& a, std::uint32_t element,
                                        const EvaluationKeys& keys) const;

  // Several rotations of one ciphertext by keys of one digit size and special count.
  Result<HoistedCiphertext> hoist(const Ciphertext& a, const KeyShape& shape) const;
  Result<Ciphertext> rotate_hoisted(const HoistedCiphertext& a, std::int64_t step,
                                    const EvaluationKeys& keys) const;

  const Parameters& parameters() const { return parameters_; }
  const KeySwitcher& switcher() const { return switcher_; }

 private:
  Result<Ciphertext> relinearise(const Ciphertext& a, const EvaluationKeys& keys, bool rescale) const;
  Result<Ciphertext> multiply_relinearise(const Ciphertext& a, const Ciphertext& b,
                                          const EvaluationKeys& keys, bool rescale) const;
  double scale_after_rescale(double scale, int level) const {
    return scale / static_cast<double>(parameters_.prime(level).value());
  }

  Parameters parameters_;
  KeySwitcher switcher_;
};

}  // namespace tacit::ckks
