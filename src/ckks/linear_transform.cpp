// SPDX-License-Identifier: Apache-2.0
#include "ckks/linear_transform.h"

#include <algorithm>
#include <bit>

#include "base/parallel.h"
#include "ring/kernels/kernels.h"

namespace tacit::ckks {

using ring::kernels;

namespace {

// All babies of a piece together take about so much of the second-level cache: they are used up there.
constexpr std::size_t kBabyBytes = std::size_t{3} << 17;
constexpr std::size_t kMinPiece = 64;

Status check(const LinearTransform::Diagonals& diagonals, std::size_t slots) {
  const std::size_t period = diagonals.period;
  if (!std::has_single_bit(period) || period > slots) {
    return Error{ErrorCode::kInvalidArgument,
                 "the period of a linear transform's input must be a power of two up to the " +
                     std::to_string(slots) + " slots, not " + std::to_string(period)};
  }
  for (const auto& [diagonal, values] : diagonals.values) {
    if (diagonal >= period) {
      return Error{ErrorCode::kInvalidArgument, "diagonal " + std::to_string(diagonal) +
                                                    " is not below the input's period, " +
                                                    std::to_string(period)};
    }
    if (values.empty() || slots % values.size() != 0) {
      return Error{ErrorCode::kInvalidArgument,
                   "diagonal " + std::to_string(diagonal) + " has " + std::to_string(values.size()) +
                       " values, which does not divide the " + std::to_string(slots) + " slots"};
    }
  }
  return {};
}

std::vector<std::size_t> indices_of(const LinearTransform::Diagonals& diagonals) {
  std::vector<std::size_t> indices;
  for (const auto& [diagonal, values] : diagonals.values) indices.push_back(diagonal);
  return indices;
}

}  // namespace

Result<LinearTransform> LinearTransform::create(const Encoder& encoder, const std::vector<Group>& groups,
                                                const Domain& domain, double scale) {
  if (domain.level < 1) {
    return Error{ErrorCode::kLevelMismatch,
                 "a linear transform takes a level, so its input needs at least level 1"};
  }
  if (groups.empty() || std::ranges::any_of(groups, [](const Group& group) { return group.terms.empty(); })) {
    return Error{ErrorCode::kInvalidArgument,
                 "a linear transform needs at least one diagonal that is not zero"};
  }
  LinearTransform transform;
  transform.domain_ = domain;
  transform.scale_ = scale;
  for (const Group& group : groups) {
    for (const Term& term : group.terms) transform.babies_.push_back(term.baby);
  }
  std::ranges::sort(transform.babies_);
  const auto repeated = std::ranges::unique(transform.babies_);
  transform.babies_.erase(repeated.begin(), repeated.end());

  const Parameters& parameters = encoder.parameters();
  const std::vector<ring::Modulus> moduli = parameters.extended_moduli(domain.level, domain.special_count);
  std::vector<const Term*> terms;
  for (const Group& group : groups) {
    for (const Term& term : group.terms) {
      terms.push_back(&term);
      const auto place = std::ranges::lower_bound(transform.babies_, term.baby);
      transform.term_babies_.push_back(static_cast<std::uint32_t>(place - transform.babies_.begin()));
    }
    transform.giants_.push_back(group.giant);
    transform.ends_.push_back(terms.size());
  }
  transform.values_ = ring::Constants(parameters.degree(), moduli, terms.size());
  std::vector<Status> statuses(terms.size());
  parallel_for(terms.size(), [&](std::size_t i) {
    statuses[i] = encoder.encode_constant(terms[i]->values, scale, domain.level, transform.values_, i);
  });
  for (Status& status : statuses) TACIT_CHECK(status);
  return transform;
}

Result<LinearTransform> LinearTransform::create(const Encoder& encoder, const Diagonals& diagonals,
                                                const Domain& domain, double scale, std::size_t width) {
  TACIT_CHECK(check(diagonals, encoder.parameters().slots()));
  if (width == 0) return Error{ErrorCode::kInvalidArgument, "a split of width 0 has no babies"};
  const Bsgs bsgs = make_bsgs(indices_of(diagonals), diagonals.period, width);
  std::vector<Group> groups;
  for (const BsgsGroup& group : bsgs.groups) {
    Group& made = groups.emplace_back(Group{group.giant, {}});
    for (const BsgsTerm& term : group.terms)
      made.terms.push_back(
          {bsgs.babies[term.baby], rotate_values(diagonals.values.at(term.diagonal), -group.giant)});
  }
  return create(encoder, groups, domain, scale);
}

Result<LinearTransform> LinearTransform::create(const Encoder& encoder, const Diagonals& diagonals,
                                                const Domain& domain, double scale, const UnitCosts& unit) {
  TACIT_CHECK(check(diagonals, encoder.parameters().slots()));
  return create(encoder, diagonals, domain, scale,
                choose_split(indices_of(diagonals), diagonals.period, domain, unit));
}

std::vector<KeyRequest> LinearTransform::key_requests(const Parameters& parameters) const {
  std::map<std::uint32_t, int> digit_sizes;  // the first of two for one element stays
  for (std::int64_t baby : babies_)
    digit_sizes.emplace(rotation_element(parameters, baby), domain_.baby_digit_size);
  for (std::int64_t giant : giants_)
    digit_sizes.emplace(rotation_element(parameters, giant), domain_.giant_digit_size);
  digit_sizes.erase(1);  // the identity
  std::vector<KeyRequest> requests;
  for (const auto& [element, digit_size] : digit_sizes)
    requests.push_back({element, {domain_.level, digit_size, domain_.special_count}});
  return requests;
}

KernelCounts LinearTransform::counts() const {
  Bsgs bsgs{babies_, {}};
  std::size_t first = 0;
  for (std::size_t g = 0; g < giants_.size(); ++g) {
    bsgs.groups.push_back({giants_[g], std::vector<BsgsTerm>(ends_[g] - first)});
    first = ends_[g];
  }
  return transform_counts(transform_shape(bsgs, domain_));
}

Result<const SwitchingKey*> LinearTransform::find_key(const Evaluator& evaluator, std::int64_t step,
                                                      const EvaluationKeys& keys) const {
  TACIT_TRY(const SwitchingKey* key,
            keys.find(rotation_element(evaluator.parameters(), step), domain_.level));
  if (key->request.shape.special_count == domain_.special_count) return key;
  return Error{ErrorCode::kKeyMissing, "the keys of one linear transform must share their special primes"};
}

void LinearTransform::rotate(const KeySwitcher& switcher, const Ciphertext& input,
                             const AlignedVector<Digits>& digits, const Rotation& rotation,
                             const Piece& piece, u64* out0, u64* out1) const {
  const bool raised = piece.limb < input.parts[0].limbs();  // P is 0 modulo its own primes
  if (rotation.key != nullptr) {
    switcher.multiply(digits[rotation.digits], rotation.automorphism, *rotation.key, piece, out0, out1);
  } else {
    std::fill_n(out0, piece.count, 0);
    std::fill_n(out1, piece.count, 0);
    if (raised) switcher.add_raised(input.parts[1], domain_.special_count, nullptr, piece, out1);
  }
  if (raised) switcher.add_raised(input.parts[0], domain_.special_count, rotation.automorphism, piece, out0);
}

// Piece by piece: the babies of one are made, used by all groups and forgotten in the cache, while the keys and the
// constants stream past once.
Result<AlignedVector<ExtendedPair>> LinearTransform::multiply(const Evaluator& evaluator,
                                                              const Ciphertext& input,
                                                              const EvaluationKeys& keys) const {
  const Parameters& parameters = evaluator.parameters();
  const KeySwitcher& switcher = evaluator.switcher();
  AlignedVector<Rotation> rotations(babies_.size());
  AlignedVector<Digits> digits;  // of one size, unless the keys were trimmed to different levels
  bool expanding = false;
  for (std::size_t b = 0; b < babies_.size(); ++b) {
    if (rotation_element(parameters, babies_[b]) == 1) continue;
    TACIT_TRY(const SwitchingKey* key, find_key(evaluator, babies_[b], keys));
    const KeyShape& shape = key->request.shape;
    const auto found = std::ranges::find(digits, shape.digit_size, &Digits::digit_size);
    rotations[b] = {key, &switcher.automorphism(key->request.element),
                    static_cast<std::size_t>(found - digits.begin())};
    if (found == digits.end()) digits.push_back(switcher.decompose(input.parts[1], shape));
    expanding = expanding || key->a.limbs() == 0;
  }
  AlignedVector<ExtendedPair> products;
  for (std::size_t g = 0; g < giants_.size(); ++g)
    products.emplace_back(parameters, domain_.level, domain_.special_count);

  const std::size_t n = parameters.degree(), baby_count = babies_.size();
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
      rotate(switcher, input, digits, rotations[b], piece, out0, out1);
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
        {values_.limb(piece.limb, piece.first), x0.data(), x1.data(), baby_count, term_babies_.data(),
         ends_.data(), products.size(), out0.data(), out1.data(), scratch.data()},
        count);
  });
  return products;
}

Status LinearTransform::add_rotated(const Evaluator& evaluator, std::int64_t giant, ExtendedPair& product,
                                    const EvaluationKeys& keys, ExtendedPair& sum, Into into) const {
  const Parameters& parameters = evaluator.parameters();
  const KeySwitcher& switcher = evaluator.switcher();
  if (rotation_element(parameters, giant) == 1) {
    if (into == Into::kFresh) {
      std::swap(sum, product);
    } else {
      switcher.add(sum, product);
    }
    return {};
  }
  TACIT_TRY(const SwitchingKey* key, find_key(evaluator, giant, keys));
  const ring::Automorphism& automorphism = switcher.automorphism(key->request.element);
  switcher.switch_key(switcher.mod_down(product.c1, domain_.level), &automorphism, *key, sum, into);
  parallel_for(sum.c0.limbs(), [&](std::size_t i) {
    const ring::Modulus& q = parameters.ring().modulus(parameters.limb_index(domain_.level, i));
    u64* permuted = product.c1.data(i);  // no longer needed
    kernels().permute(automorphism, 0, permuted, product.c0.data(i), parameters.degree());
    kernels().add(q, sum.c0.data(i), sum.c0.data(i), permuted, parameters.degree());
  });
  return {};
}

Result<Ciphertext> LinearTransform::apply(const Evaluator& evaluator, const Ciphertext& input,
                                          const EvaluationKeys& keys) const {
  const Parameters& parameters = evaluator.parameters();
  if (input.level() != domain_.level || input.size() != 2) {
    return Error{ErrorCode::kLevelMismatch, "a linear transform for level " + std::to_string(domain_.level) +
                                                " was given a ciphertext of level " +
                                                std::to_string(input.level()) + " and " +
                                                std::to_string(input.size()) + " parts"};
  }
  TACIT_TRY(AlignedVector<ExtendedPair> products, multiply(evaluator, input, keys));
  AlignedVector<ExtendedPair> sums;
  for (std::size_t c = 0; c < std::min(products.size(), kChains); ++c)
    sums.emplace_back(parameters, domain_.level, domain_.special_count);
  AlignedVector<Status> statuses(sums.size());
  parallel_for(sums.size(), [&](std::size_t c) {
    for (std::size_t g = c; g < products.size() && statuses[c].ok(); g += sums.size()) {
      statuses[c] =
          add_rotated(evaluator, giants_[g], products[g], keys, sums[c], g == c ? Into::kFresh : Into::kSum);
    }
  });
  for (Status& status : statuses) TACIT_CHECK(status);
  if (sums.size() > 1) evaluator.switcher().add(sums[0], sums[1]);
  auto [c0, c1] = evaluator.switcher().mod_down(sums[0], true);
  Ciphertext out;
  out.parts.push_back(std::move(c0));
  out.parts.push_back(std::move(c1));
  out.scale = input.scale * scale_ / static_cast<double>(parameters.prime(domain_.level).value());
  return out;
}

}  // namespace tacit::ckks
