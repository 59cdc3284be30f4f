// SPDX-License-Identifier: Apache-2.0
// A plan on plain numbers to which every operation adds the noise that CKKS theory predicts for it: what accuracy an
// encrypted run will have, without one.
#pragma once

#include <map>
#include <random>

#include "ckks/parameters.h"
#include "runtime/clear.h"

namespace tacit::runtime {

// Standard deviations of the error in the real part of a slot, before division by the scale (multiply by 1 / scale to
// have them in the numbers' own unit). An error polynomial with independent coefficients of variance v has, at a
// primitive 2N-th root of unity, the variance N v, half of it in the real part: sigma_slot = sqrt(N v / 2).
class NoiseModel {
 public:
  explicit NoiseModel(const ckks::Parameters& parameters) : parameters_(parameters) {}

  // The error of a fresh symmetric ciphertext: v = 21/2, centred binomial of parameter 21.
  double encryption() const;
  // Rounding the coefficients of a plaintext whose real slots repeat with `period`: it is a polynomial in X^(n / period),
  // so 2 period coefficients have v = 1/12 and the others none. Real slots make coefficient N - k minus coefficient k,
  // which rounding preserves: the error is all in the real part, sigma_slot^2 = 2 period / 12.
  double encoding(std::size_t period) const;
  // Dividing a ciphertext by a prime or by P: both parts are rounded, c_1's error is multiplied by s, of which 2N/3
  // coefficients are not zero: v = (1 + 2N/3) / 12 (Cheon, Kim, Kim and Song 2017, lemma 2, for this secret).
  double division() const;
  // Key switching at `level` before the division, relative to P: sum over digits of d_j e_j / P. d_j takes values of
  // [0, D_j) for one prime and of a sum of digit_size such values for more: E[d^2] = D_j^2 (k/12 + k^2/4) for k primes;
  // v = N (21/2) sum_j E[d_j^2] / P^2 (Gentry, Halevi and Smart 2012, appendix C; Han and Ki 2020, section 3).
  double key_switch(const ckks::KeyShape& shape, int level) const;

 private:
  ckks::Parameters parameters_;
};

// Satisfies PlanArithmetic; vectors are those of ClearArithmetic. The same seed gives the same noise.
class NoiseArithmetic {
 public:
  using Vector = ClearVector;

  // Shares the prepared layers of `clear`. Errors of Parameters::create.
  static Result<NoiseArithmetic> create(const ClearArithmetic& clear, std::uint64_t seed);

  // A fresh encryption of slots that repeat with `period`.
  Vector encrypt(std::vector<double> slots, int level, double scale, std::size_t period);
  // One at the level and scale of the plan's input.
  Vector input(std::vector<double> slots);

  int level(const Vector& v) const { return v.level; }
  double scale(const Vector& v) const { return v.scale; }
  double prime(int level) const { return clear_.prime(level); }
  Result<Vector> multiply(const Vector& a, const Vector& b);
  Result<Vector> square(const Vector& a);
  Result<Vector> add(const Vector& a, const Vector& b) { return clear_.add(a, b); }
  Result<Vector> subtract(const Vector& a, const Vector& b) { return clear_.subtract(a, b); }
  Result<Vector> add_scalar(const Vector& a, double c);
  Result<Vector> double_value(const Vector& a) { return clear_.double_value(a); }
  Result<Vector> drop(const Vector& a, int level) { return clear_.drop(a, level); }
  Result<Vector> weighted_sum(std::span<const Vector* const> vectors, std::span<const double> coefficients,
                              int target_level, double target_scale);
  Result<Vector> linear(const plan::Linear& operation, const Vector& v);
  Result<Vector> rescaling(const Vector& v, double factor, double target_scale);

  const plan::Plan& plan() const { return clear_.plan(); }
  const NoiseModel& model() const { return model_; }

 private:
  NoiseArithmetic(const ClearArithmetic& clear, const ckks::Parameters& parameters, std::uint64_t seed);
  void disturb(std::vector<double>& slots, double deviation);
  Result<ckks::KeyShape> shape_of(std::uint32_t element) const;
  // A layer of a plan with one slot for an image.
  Vector linear_by_rows(const PreparedLinear& layer, const Vector& v, const plan::Value& out);
  // `product` with the noise of relinearising and rescaling it from `level`, where it has `product_scale`.
  Result<Vector> relinearised(Vector product, int level, double product_scale);
  // The noise of a rotation by `step` at `level` with its division by P, at scale 1; 0 for no rotation.
  Result<double> rotation(std::int64_t step, int level) const;
  // That of several, one after the other.
  Result<double> rotations(std::span<const std::int64_t> steps, int level) const;
  // The layer's babies, each rotated by itself or as a tree makes them; `shifted` is v rotated by the layer's shift.
  Status rotate_babies(const PreparedLinear& layer, const Vector& v, const Vector& shifted,
                       std::vector<ClearArithmetic::RotatedBaby>& babies);
  Status chain_babies(const PreparedLinear& layer, const Vector& v, const Vector& shifted,
                      std::vector<ClearArithmetic::RotatedBaby>& babies);
  // Adds the noise of rotating a chained layer's sums at `level`, in this unit.
  Status disturb_chained_sums(const PreparedLinear& layer, int level, double unit, std::vector<double>& sums);

  ClearArithmetic clear_;
  ckks::Parameters parameters_;
  NoiseModel model_;
  std::map<std::uint32_t, ckks::KeyShape> shapes_;
  std::mt19937_64 generator_;
};

}  // namespace tacit::runtime
