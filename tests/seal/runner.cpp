// SPDX-License-Identifier: Apache-2.0
#include "seal/runner.h"

#include <algorithm>
#include <cmath>

#include "ring/kernels/kernels.h"

namespace tacit::seal {

using ckks::Ciphertext;
using ckks::u64;
using ring::Poly;

Result<Ciphertext> Runner::run(const Case& test, std::span<const Ciphertext* const> operands,
                               const ckks::Plaintext* plain) const {
  const Ciphertext& a = *operands.front();
  const Ciphertext& b = *operands.back();
  switch (test.operation) {
    case Operation::kAdd:
      return evaluator_.add(a, b);
    case Operation::kSubtract:
      return evaluator_.subtract(a, b);
    case Operation::kNegate:
      return evaluator_.negate(a);
    case Operation::kAddPlain:
      return evaluator_.add_plain(a, *plain);
    case Operation::kMultiplyPlain:
      return evaluator_.multiply_plain(a, *plain);
    case Operation::kMultiply:
      return evaluator_.multiply(a, b);
    case Operation::kSquare:
      return evaluator_.square(a);
    case Operation::kRelinearise:
      return evaluator_.relinearise(a, keys_);
    case Operation::kRescale:
      return evaluator_.rescale(a);
    case Operation::kDrop:
      return evaluator_.drop(a, test.value.level);
    case Operation::kRotate:
      return evaluator_.rotate(a, test.step, keys_);
    case Operation::kConjugate:
      return evaluator_.conjugate(a, keys_);
    case Operation::kAddScalar:
      return evaluator_.add_scalar(a, test.constant);
    case Operation::kMultiplyScalar:
      return evaluator_.multiply_scalar(a, test.constant, test.plain_scale);
    case Operation::kRelineariseRescale:
      return evaluator_.relinearise_rescale(a, keys_);
    case Operation::kRotateHoisted: {
      TACIT_TRY(const ckks::HoistedCiphertext hoisted,
                evaluator_.hoist(a, {evaluator_.parameters().max_level(), 1, 1}));
      return evaluator_.rotate_hoisted(hoisted, test.step, keys_);
    }
  }
  return Error{ErrorCode::kInvalidArgument, "a program has an unknown operation"};
}

std::string difference(const Ciphertext& ours, const Ciphertext& seals) {
  if (ours.size() != seals.size() || ours.level() != seals.level()) {
    return "ours has " + std::to_string(ours.size()) + " parts at level " + std::to_string(ours.level()) +
           ", SEAL's has " + std::to_string(seals.size()) + " at level " + std::to_string(seals.level());
  }
  for (std::size_t part = 0; part < ours.size(); ++part) {
    for (std::size_t limb = 0; limb < ours.parts[part].limbs(); ++limb) {
      const auto a = ours.parts[part].limb(limb), b = seals.parts[part].limb(limb);
      const auto place = std::ranges::mismatch(a, b);
      if (place.in1 == a.end()) continue;
      std::size_t count = 0;
      for (std::size_t i = 0; i < a.size(); ++i) count += a[i] != b[i];
      return "part " + std::to_string(part) + ", limb " + std::to_string(limb) + ": " +
             std::to_string(count) + " residues differ, the first at " +
             std::to_string(place.in1 - a.begin()) + ": ours is " + std::to_string(*place.in1) + ", SEAL's " +
             std::to_string(*place.in2);
    }
  }
  if (ours.scale != seals.scale) {
    return "ours has the scale " + std::to_string(ours.scale) + ", SEAL's " + std::to_string(seals.scale);
  }
  return "";
}

std::optional<EncodingDifference> difference(const ckks::Parameters& parameters, const ckks::Plaintext& ours,
                                             const ckks::Plaintext& seals) {
  Poly difference(ours.poly.degree(), ours.poly.limbs());
  EncodingDifference out;
  for (std::size_t limb = 0; limb < difference.limbs(); ++limb) {
    const ring::Modulus& q = parameters.ring().modulus(limb);
    u64* d = difference.data(limb);
    ring::kernels().subtract(q, d, ours.poly.data(limb), seals.poly.data(limb), difference.degree());
    const ring::NttTable& table = parameters.ring().ntt(limb);
    ring::kernels().inverse_ntt(table, table.inverse_degree, nullptr, d, d);
    for (std::size_t i = 0; i < difference.degree(); ++i) {
      const std::int64_t x = q.centred(d[i]);
      if (x != parameters.ring().modulus(0).centred(difference.data(0)[i])) return std::nullopt;
      if (limb == 0 && x != 0) ++out.count;
      out.largest = std::max(out.largest, std::abs(x));
    }
  }
  return out;
}

double largest_error(const Slots& decrypted, const Slots& expected) {
  double largest = decrypted.size() == expected.size() ? 0 : std::nan("");
  for (std::size_t i = 0; i < decrypted.size() && !std::isnan(largest); ++i) {
    const double distance = std::abs(decrypted[i] - expected[i]);
    if (!(distance <= largest)) largest = distance;
  }
  return largest;
}

}  // namespace tacit::seal
