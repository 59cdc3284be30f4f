// SPDX-License-Identifier: Apache-2.0
#include "ckks/linear_transform.h"

#include <algorithm>

#include "base/parallel.h"
#include "ring/kernels/kernels.h"

namespace tacit::ckks {

using ring::kernels;

namespace {

// All babies of a piece together take about so much of the second-level cache: they are used up there.
constexpr std::size_t kBabyBytes = std::size_t{3} << 17;
constexpr std::size_t kMinPiece = 64;

int folding_digit_size(const TransformDomain& domain, int level) {
  return std::min(domain.baby_digit_size, level + 1);
}

}  // namespace

Result<LinearTransform> LinearTransform::create(const Encoder& encoder, const std::vector<Group>& groups,
                                                const Domain& domain, double scale, std::size_t shift) {
  LinearTransform transform;
  TACIT_TRY(transform.layout_, TransformLayout::create(groups, domain.level, shift));
  transform.domain_ = domain;
  transform.scale_ = scale;
  transform.shift_ = shift;
  std::vector<const Term*> terms;
  for (const Group& group : groups)
    for (const Term& term : group.terms) terms.push_back(&term);
  const Parameters& parameters = encoder.parameters();
  transform.values_ = ring::Constants(
      parameters.degree(), parameters.extended_moduli(domain.level, domain.special_count), terms.size());
  std::vector<Status> statuses(terms.size());
  parallel_for(terms.size(), [&](std::size_t i) {
    statuses[i] = encode_term(encoder, *terms[i], shift, scale, domain.level, transform.values_, i);
  });
  for (Status& status : statuses) TACIT_CHECK(status);
  return transform;
}

Result<LinearTransform> LinearTransform::create(const Encoder& encoder, const Diagonals& diagonals,
                                                const Domain& domain, double scale, BsgsSplit split) {
  TACIT_TRY(const std::vector<Group> groups, diagonals.groups(encoder.parameters().slots(), split));
  return create(encoder, groups, domain, scale, split.shift);
}

Result<LinearTransform> LinearTransform::create(const Encoder& encoder, const Diagonals& diagonals,
                                                const Domain& domain, double scale, const UnitCosts& unit) {
  TACIT_CHECK(diagonals.check(encoder.parameters().slots()));
  return create(encoder, diagonals, domain, scale,
                choose_split(diagonals.indices(), diagonals.period, domain, unit));
}

std::vector<KeyRequest> LinearTransform::key_requests(const Parameters& parameters) const {
  std::map<std::uint32_t, KeyShape> shapes;  // the first of two for one element stays
  const auto add = [&](std::uint32_t element, int level, int digit_size) {
    shapes.emplace(element, KeyShape{level, digit_size, domain_.special_count});
  };
  for (const BsgsBaby& baby : layout_.babies)
    add(rotation_element(parameters, baby.step), domain_.level, domain_.baby_digit_size);
  if (shift_ != 0) {
    add(rotation_element(parameters, static_cast<std::int64_t>(shift_)), domain_.level,
        domain_.baby_digit_size);
    add(conjugation_element(parameters), domain_.level - 1, folding_digit_size(domain_, domain_.level - 1));
  }
  for (std::int64_t giant : layout_.giants)
    add(rotation_element(parameters, giant), domain_.level, domain_.giant_digit_size);
  shapes.erase(1);  // the identity
  std::vector<KeyRequest> requests;
  requests.reserve(shapes.size());
  for (const auto& [element, shape] : shapes) requests.push_back({element, shape});
  return requests;
}

KernelCounts LinearTransform::counts() const {
  return transform_counts(transform_shape(layout_.bsgs(shift_), domain_));
}

Result<const SwitchingKey*> LinearTransform::find_key(const Evaluator& evaluator, std::int64_t step,
                                                      const EvaluationKeys& keys) const {
  TACIT_TRY(const SwitchingKey* key,
            keys.find(rotation_element(evaluator.parameters(), step), domain_.level));
  if (key->request.shape.special_count == domain_.special_count) return key;
  return Error{ErrorCode::kKeyMissing, "the keys of one linear transform must share their special primes"};
}

// Piece by piece: the babies of one are made, used by all groups and forgotten in the cache, while the keys and the
// constants stream past once.
Result<AlignedVector<ExtendedPair>> LinearTransform::multiply(const Evaluator& evaluator,
                                                              std::span<const Ciphertext> inputs,
                                                              const EvaluationKeys& keys) const {
  const Parameters& parameters = evaluator.parameters();
  const KeySwitcher& switcher = evaluator.switcher();
  AlignedVector<Rotation> rotations(layout_.babies.size());
  AlignedVector<Digits>
      digits;                // of each input of one size, unless the keys were trimmed to different levels
  std::size_t of_input = 0;  // where those of the present input begin
  bool expanding = false;
  for (std::size_t b = 0; b < layout_.babies.size(); ++b) {
    if (b > 0 && layout_.babies[b].input != layout_.babies[b - 1].input) of_input = digits.size();
    const auto& parts = inputs[layout_.babies[b].input].parts;
    if (rotation_element(parameters, layout_.babies[b].step) == 1) {
      rotations[b].rest = switcher.raised(&parts[0], &parts[1], domain_.special_count);
      continue;
    }
    TACIT_TRY(const SwitchingKey* key, find_key(evaluator, layout_.babies[b].step, keys));
    const KeyShape& shape = key->request.shape;
    const auto found = std::find_if(digits.begin() + static_cast<std::ptrdiff_t>(of_input), digits.end(),
                                    [&](const Digits& made) { return made.digit_size == shape.digit_size; });
    rotations[b] = {key, &switcher.automorphism(key->request.element),
                    static_cast<std::size_t>(found - digits.begin()),
                    switcher.raised(&parts[0], nullptr, domain_.special_count)};
    if (found == digits.end()) digits.push_back(switcher.decompose(parts[1], shape));
    expanding = expanding || key->a.limbs() == 0;
  }
  AlignedVector<ExtendedPair> products;
  for (std::size_t g = 0; g < layout_.giants.size(); ++g)
    products.emplace_back(parameters, domain_.level, domain_.special_count);

  const std::size_t n = parameters.degree(), baby_count = layout_.babies.size();
  std::size_t count = n;  // of a piece; a key is expanded for the whole limb
  while (!expanding && count > kMinPiece && 2 * baby_count * count * sizeof(u64) > kBabyBytes) count /= 2;
  parallel_for(values_.limbs() * (n / count), [&](std::size_t job) {
    const Piece piece{job / (n / count), job % (n / count) * count, count};
    AlignedVector<u64> babies(2 * baby_count * count);
    AlignedVector<u64> scratch(ring::PlainProduct::kScratchWords * baby_count);
    AlignedVector<const u64*> x0, x1;
    x0.reserve(baby_count);
    x1.reserve(baby_count);
    for (std::size_t b = 0; b < baby_count; ++b) {
      u64 *const out0 = babies.data() + 2 * b * count, *const out1 = out0 + count;
      const Rotation& rotation = rotations[b];
      if (rotation.key != nullptr) {
        switcher.multiply(digits[rotation.digits], rotation.automorphism, *rotation.key, rotation.rest, piece,
                          out0, out1);
      } else {
        switcher.raise(rotation.rest, piece, out0, out1);
      }
      x0.push_back(out0);
      x1.push_back(out1);
    }
    AlignedVector<u64*> out0, out1;
    out0.reserve(products.size());
    out1.reserve(products.size());
    for (ExtendedPair& product : products) {
      out0.push_back(product.c0.data(piece.limb) + piece.first);
      out1.push_back(product.c1.data(piece.limb) + piece.first);
    }
    kernels().plain_product(
        values_.modulus(piece.limb),
        {values_.limb(piece.limb, piece.first), x0.data(), x1.data(), baby_count, layout_.term_babies.data(),
         layout_.ends.data(), products.size(), out0.data(), out1.data(), scratch.data()},
        count);
  });
  return products;
}

Status LinearTransform::add_rotated(const Evaluator& evaluator, std::int64_t giant, ExtendedPair& product,
                                    const EvaluationKeys& keys, ExtendedPair& sum, Into into) const {
  const KeySwitcher& switcher = evaluator.switcher();
  if (rotation_element(evaluator.parameters(), giant) == 1) {
    if (into == Into::kFresh) {
      std::swap(sum, product);
    } else {
      switcher.add(sum, product);
    }
    return {};
  }
  TACIT_TRY(const SwitchingKey* key, find_key(evaluator, giant, keys));
  const ring::Automorphism& automorphism = switcher.automorphism(key->request.element);
  switcher.switch_key(switcher.mod_down(product.c1, domain_.level), &automorphism, *key, {&product.c0}, sum,
                      into);
  return {};
}

Result<Ciphertext> LinearTransform::sum_up(const Evaluator& evaluator, std::span<ExtendedPair> products,
                                           std::span<const std::int64_t> giants,
                                           const EvaluationKeys& keys) const {
  AlignedVector<ExtendedPair> sums;
  for (std::size_t c = 0; c < std::min(products.size(), chains(outputs())); ++c)
    sums.emplace_back(evaluator.parameters(), domain_.level, domain_.special_count);
  AlignedVector<Status> statuses(sums.size());
  parallel_for(sums.size(), [&](std::size_t c) {
    for (std::size_t g = c; g < products.size() && statuses[c].ok(); g += sums.size()) {
      statuses[c] =
          add_rotated(evaluator, giants[g], products[g], keys, sums[c], g == c ? Into::kFresh : Into::kSum);
    }
  });
  for (Status& status : statuses) TACIT_CHECK(status);
  if (sums.size() > 1) evaluator.switcher().add(sums[0], sums[1]);
  auto [c0, c1] = evaluator.switcher().mod_down(sums[0], true);
  Ciphertext out;
  out.parts.push_back(std::move(c0));
  out.parts.push_back(std::move(c1));
  if (shift_ == 0) return out;
  TACIT_TRY(const Ciphertext conjugate, evaluator.conjugate(out, keys));
  return evaluator.add(out, conjugate);
}

Result<AlignedVector<Ciphertext>> LinearTransform::apply(const Evaluator& evaluator,
                                                         std::span<const Ciphertext> inputs,
                                                         const EvaluationKeys& keys) const {
  TACIT_CHECK(layout_.check(inputs, domain_.level));
  const Parameters& parameters = evaluator.parameters();
  AlignedVector<Ciphertext> folded;
  if (shift_ != 0) {
    for (const Ciphertext& input : inputs) {
      TACIT_TRY(const Ciphertext rotated, evaluator.rotate(input, static_cast<std::int64_t>(shift_), keys));
      folded.push_back(add_times_i(parameters, input, rotated));
    }
    inputs = folded;
  }
  const double scale =
      inputs[0].scale * scale_ / static_cast<double>(parameters.prime(domain_.level).value());
  TACIT_TRY(AlignedVector<ExtendedPair> products, multiply(evaluator, inputs, keys));
  AlignedVector<Ciphertext> out(outputs());
  AlignedVector<Status> statuses(outputs());
  parallel_for(outputs(), [&](std::size_t o) {
    const std::size_t first = layout_.first_group(o), groups = layout_.ends_of_outputs[o] - first;
    Result<Ciphertext> sum = sum_up(evaluator, std::span(products).subspan(first, groups),
                                    std::span(layout_.giants).subspan(first, groups), keys);
    if (sum.ok()) {
      out[o] = std::move(sum).value();
      out[o].scale = scale;
    } else {
      statuses[o] = std::move(sum).error();
    }
  });
  for (Status& status : statuses) TACIT_CHECK(status);
  return out;
}

Result<Ciphertext> LinearTransform::apply(const Evaluator& evaluator, const Ciphertext& input,
                                          const EvaluationKeys& keys) const {
  if (outputs() != 1)
    return Error{ErrorCode::kLevelMismatch, "a linear transform makes " + std::to_string(outputs()) +
                                                " ciphertexts where one is wanted"};
  TACIT_TRY(AlignedVector<Ciphertext> products, apply(evaluator, std::span(&input, 1), keys));
  return std::move(products.front());
}

}  // namespace tacit::ckks
