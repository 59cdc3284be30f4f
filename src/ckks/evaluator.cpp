// SPDX-License-Identifier: Apache-2.0
#include "ckks/evaluator.h"

#include <cmath>

#include "base/parallel.h"
#include "ckks/rounding.h"
#include "ring/kernels/kernels.h"

namespace tacit::ckks {

using ring::kernels;
using ring::Poly;

namespace {

Error level_error(const char* operation, int a, int b) {
  return {ErrorCode::kLevelMismatch, std::string(operation) + " needs operands of one level, these have " +
                                         std::to_string(a) + " and " + std::to_string(b) +
                                         "; drop the higher one"};
}

Status require_size(const char* operation, const Ciphertext& a, std::size_t size) {
  if (a.size() == size) return {};
  return Error{ErrorCode::kDataMalformed, std::string(operation) + " needs a ciphertext of " +
                                              std::to_string(size) + " parts, this one has " +
                                              std::to_string(a.size())};
}

Status require_level_above_zero(const char* operation, const Ciphertext& a) {
  if (a.level() > 0) return {};
  return Error{ErrorCode::kLevelMismatch,
               std::string(operation) + " takes a level, and this ciphertext has none left"};
}

Status require_factors(const Ciphertext& a, const Ciphertext& b) {
  if (a.level() != b.level()) return level_error("multiplication", a.level(), b.level());
  TACIT_CHECK(require_size("multiplication", a, 2));
  return require_size("multiplication", b, 2);
}

// out = f(limb, a, b) for every limb of the two polynomials.
template <class F>
Poly limbwise(const Parameters& parameters, const Poly& a, const F& f) {
  Poly out(a.degree(), a.limbs());
  parallel_for(a.limbs(), [&](std::size_t i) { f(parameters.ring().modulus(i), i, out.data(i)); });
  return out;
}

using Binary = void (*)(const ring::Modulus&, u64*, const u64*, const u64*, std::size_t);

Poly combine(const Parameters& parameters, Binary kernel, const Poly& a, const Poly& b) {
  return limbwise(parameters, a, [&](const ring::Modulus& q, std::size_t i, u64* out) {
    kernel(q, out, a.data(i), b.data(i), a.degree());
  });
}

Poly negated(const Parameters& parameters, const Poly& a) {
  return limbwise(parameters, a, [&](const ring::Modulus& q, std::size_t i, u64* out) {
    kernels().negate(q, out, a.data(i), a.degree());
  });
}

// A ciphertext from its two parts.
Ciphertext make_pair(std::pair<Poly, Poly> parts, double scale) {
  Ciphertext out;
  out.parts.reserve(2);
  out.parts.push_back(std::move(parts.first));
  out.parts.push_back(std::move(parts.second));
  out.scale = scale;
  return out;
}

Result<Ciphertext> add_or_subtract(const Parameters& parameters, const char* name, const Ciphertext& a,
                                   const Ciphertext& b, bool subtract) {
  if (a.level() != b.level()) return level_error(name, a.level(), b.level());
  if (!same_scale(a.scale, b.scale)) {
    return Error{ErrorCode::kScaleMismatch, std::string(name) + " needs operands of one scale, these have " +
                                                std::to_string(a.scale) + " and " + std::to_string(b.scale)};
  }
  Ciphertext out;
  out.scale = a.scale;
  for (std::size_t part = 0; part < std::max(a.size(), b.size()); ++part) {
    if (part >= b.size()) {
      out.parts.push_back(a.parts[part]);
    } else if (part >= a.size()) {
      out.parts.push_back(subtract ? negated(parameters, b.parts[part]) : b.parts[part]);
    } else {
      out.parts.push_back(
          combine(parameters, subtract ? kernels().subtract : kernels().add, a.parts[part], b.parts[part]));
    }
  }
  return out;
}

}  // namespace

bool same_scale(double a, double b) { return std::abs(a - b) <= 0x1p-40 * std::abs(a); }

Result<Ciphertext> Evaluator::add(const Ciphertext& a, const Ciphertext& b) const {
  return add_or_subtract(parameters_, "addition", a, b, false);
}

Result<Ciphertext> Evaluator::subtract(const Ciphertext& a, const Ciphertext& b) const {
  return add_or_subtract(parameters_, "subtraction", a, b, true);
}

Ciphertext Evaluator::negate(const Ciphertext& a) const {
  Ciphertext out;
  out.scale = a.scale;
  for (const Poly& part : a.parts) out.parts.push_back(negated(parameters_, part));
  return out;
}

Result<Ciphertext> Evaluator::add_plain(const Ciphertext& a, const Plaintext& b) const {
  if (a.level() != b.level()) return level_error("addition of a plaintext", a.level(), b.level());
  if (!same_scale(a.scale, b.scale)) {
    return Error{ErrorCode::kScaleMismatch, "a plaintext of scale " + std::to_string(b.scale) +
                                                " cannot be added to a ciphertext of scale " +
                                                std::to_string(a.scale)};
  }
  Ciphertext out = a;
  out.parts[0] = combine(parameters_, kernels().add, a.parts[0], b.poly);
  return out;
}

Result<Ciphertext> Evaluator::multiply_plain(const Ciphertext& a, const Plaintext& b) const {
  if (a.level() != b.level()) return level_error("multiplication by a plaintext", a.level(), b.level());
  Ciphertext out;
  out.scale = a.scale * b.scale;
  for (const Poly& part : a.parts)
    out.parts.push_back(combine(parameters_, kernels().multiply, part, b.poly));
  return out;
}

Result<Ciphertext> Evaluator::add_scalar(const Ciphertext& a, double c) const {
  TACIT_TRY(const std::int64_t constant, round_to_integer(c * a.scale));
  Ciphertext out = a;
  // A constant polynomial has the same value at every point.
  parallel_for(a.parts[0].limbs(), [&](std::size_t i) {
    const ring::Modulus& q = parameters_.ring().modulus(i);
    const u64 residue = q.reduce_signed(constant);
    for (u64& x : out.parts[0].limb(i)) x = q.add(x, residue);
  });
  return out;
}

Result<Ciphertext> Evaluator::multiply_scalar(const Ciphertext& a, double c, double scale) const {
  TACIT_TRY(const std::int64_t constant, round_to_integer(c * scale));
  Ciphertext out;
  out.scale = a.scale * scale;
  for (const Poly& part : a.parts) {
    out.parts.push_back(limbwise(parameters_, part, [&](const ring::Modulus& q, std::size_t i, u64* result) {
      kernels().multiply_constant(q, q.shoup(q.reduce_signed(constant)), result, part.data(i), part.degree());
    }));
  }
  return out;
}

Result<Ciphertext> Evaluator::multiply(const Ciphertext& a, const Ciphertext& b) const {
  TACIT_CHECK(require_factors(a, b));
  const std::size_t n = parameters_.degree(), limbs = a.parts[0].limbs();
  Ciphertext out;
  out.scale = a.scale * b.scale;
  for (int part = 0; part < 3; ++part) out.parts.emplace_back(n, limbs);
  parallel_for(limbs, [&](std::size_t i) {
    kernels().tensor_product(parameters_.ring().modulus(i),
                             {a.parts[0].data(i), a.parts[1].data(i), b.parts[0].data(i), b.parts[1].data(i),
                              out.parts[0].data(i), out.parts[1].data(i), out.parts[2].data(i)},
                             n);
  });
  return out;
}

Result<Ciphertext> Evaluator::relinearise(const Ciphertext& a, const EvaluationKeys& keys,
                                          bool rescale) const {
  TACIT_CHECK(require_size("relinearisation", a, 3));
  if (rescale) TACIT_CHECK(require_level_above_zero("rescaling", a));
  TACIT_TRY(const SwitchingKey* key, keys.find(kRelinearisation, a.level()));
  const Addend rest = switcher_.raised(&a.parts[0], &a.parts[1], key->request.shape.special_count);
  return make_pair(switcher_.switch_key_divided(a.parts[2], nullptr, *key, rest, rescale),
                   rescale ? scale_after_rescale(a.scale, a.level()) : a.scale);
}

Result<Ciphertext> Evaluator::multiply_relinearise(const Ciphertext& a, const Ciphertext& b,
                                                   const EvaluationKeys& keys, bool rescale) const {
  TACIT_CHECK(require_factors(a, b));
  if (rescale) TACIT_CHECK(require_level_above_zero("rescaling", a));
  TACIT_TRY(const SwitchingKey* key, keys.find(kRelinearisation, a.level()));
  Addend rest = switcher_.raised(&a.parts[0], &a.parts[1], key->request.shape.special_count);
  rest.b0 = &b.parts[0];
  rest.b1 = &b.parts[1];
  const Poly last = combine(parameters_, kernels().multiply, a.parts[1], b.parts[1]);
  const double scale = a.scale * b.scale;
  return make_pair(switcher_.switch_key_divided(last, nullptr, *key, rest, rescale),
                   rescale ? scale_after_rescale(scale, a.level()) : scale);
}

Result<Ciphertext> Evaluator::rescale(const Ciphertext& a) const {
  TACIT_CHECK(require_level_above_zero("rescaling", a));
  Ciphertext out;
  out.scale = scale_after_rescale(a.scale, a.level());
  for (const Poly& part : a.parts) out.parts.push_back(switcher_.rescale(part));
  return out;
}

Result<Ciphertext> Evaluator::drop(const Ciphertext& a, int level) const {
  if (level < 0 || level > a.level()) {
    return Error{ErrorCode::kLevelMismatch, "a ciphertext of level " + std::to_string(a.level()) +
                                                " cannot be brought to level " + std::to_string(level)};
  }
  Ciphertext out;
  out.scale = a.scale;
  for (const Poly& part : a.parts) out.parts.push_back(part.prefix(static_cast<std::size_t>(level) + 1));
  return out;
}

Result<Ciphertext> Evaluator::apply_automorphism(const Ciphertext& a, std::uint32_t element,
                                                 const EvaluationKeys& keys) const {
  TACIT_CHECK(require_size("rotation", a, 2));
  if (element == 1) return a;
  TACIT_TRY(const SwitchingKey* key, keys.find(element, a.level()));
  const ring::Automorphism& automorphism = switcher_.automorphism(element);
  // The digits of the permuted polynomial, in SEAL's order.
  const Addend rest = switcher_.raised(&a.parts[0], nullptr, key->request.shape.special_count);
  return make_pair(switcher_.switch_key_divided(a.parts[1], &automorphism, *key, rest, false), a.scale);
}

Result<Ciphertext> Evaluator::rotate(const Ciphertext& a, std::int64_t step,
                                     const EvaluationKeys& keys) const {
  return apply_automorphism(a, rotation_element(parameters_, step), keys);
}

Result<Ciphertext> Evaluator::conjugate(const Ciphertext& a, const EvaluationKeys& keys) const {
  return apply_automorphism(a, conjugation_element(parameters_), keys);
}

Result<HoistedCiphertext> Evaluator::hoist(const Ciphertext& a, const KeyShape& shape) const {
  TACIT_CHECK(require_size("rotation", a, 2));
  return HoistedCiphertext{&a, switcher_.decompose(a.parts[1], shape)};
}

Result<Ciphertext> Evaluator::rotate_hoisted(const HoistedCiphertext& a, std::int64_t step,
                                             const EvaluationKeys& keys) const {
  const Ciphertext& source = *a.source;
  const std::uint32_t element = rotation_element(parameters_, step);
  if (element == 1) return source;
  TACIT_TRY(const SwitchingKey* key, keys.find(element, source.level()));
  const KeyShape& shape = key->request.shape;
  if (shape.digit_size != a.digits.digit_size || shape.special_count != a.digits.special_count) {
    return rotate(source, step, keys);
  }
  const ring::Automorphism& automorphism = switcher_.automorphism(element);
  const Addend rest = switcher_.raised(&source.parts[0], nullptr, shape.special_count);
  return make_pair(switcher_.multiply_divided(a.digits, &automorphism, *key, rest), source.scale);
}

}  // namespace tacit::ckks
