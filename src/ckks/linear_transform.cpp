// SPDX-License-Identifier: Apache-2.0
#include "ckks/linear_transform.h"

#include <algorithm>
#include <bit>

#include "base/parallel.h"
#include "ring/kernels/kernels.h"

namespace tacit::ckks {

using ring::kernels;

namespace {

// Groups of a batch, at least: so many that their products do not take much more memory than the babies, and that these
// are read only now and then.
constexpr std::size_t kMinBatch = 16;
static_assert(kMinBatch % LinearTransform::kChains == 0, "a chain must go on with its own sum");
// Into how many pieces of a limb the products are split, for threads to share.
constexpr std::size_t kPieces = 8;

// `count` rounded up to one group for each chain.
std::size_t round_to_chains(std::size_t count) {
  return (count + LinearTransform::kChains - 1) / LinearTransform::kChains * LinearTransform::kChains;
}

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
  struct Job {
    const Term* term;
    std::size_t batch, row;
  };
  std::vector<Job> jobs;
  const std::size_t at_once = std::max(kMinBatch, round_to_chains(transform.babies_.size()));
  for (std::size_t g = 0; g < groups.size(); ++g) {
    if (g % at_once == 0) transform.batches_.emplace_back();
    Batch& batch = transform.batches_.back();
    for (const Term& term : groups[g].terms) {
      jobs.push_back({&term, transform.batches_.size() - 1, batch.babies.size()});
      const auto place = std::ranges::lower_bound(transform.babies_, term.baby);
      batch.babies.push_back(static_cast<std::uint32_t>(place - transform.babies_.begin()));
    }
    batch.giants.push_back(groups[g].giant);
    batch.ends.push_back(batch.babies.size());
  }
  for (Batch& batch : transform.batches_)
    batch.values = ring::Constants(parameters.degree(), moduli, batch.babies.size());
  std::vector<Status> statuses(jobs.size());
  parallel_for(jobs.size(), [&](std::size_t i) {
    const auto& [term, batch, row] = jobs[i];
    statuses[i] =
        encoder.encode_constant(term->values, scale, domain.level, transform.batches_[batch].values, row);
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
  for (const Batch& batch : batches_)
    for (std::int64_t giant : batch.giants)
      digit_sizes.emplace(rotation_element(parameters, giant), domain_.giant_digit_size);
  digit_sizes.erase(1);  // the identity
  std::vector<KeyRequest> requests;
  for (const auto& [element, digit_size] : digit_sizes)
    requests.push_back({element, {domain_.level, digit_size, domain_.special_count}});
  return requests;
}

KernelCounts LinearTransform::counts() const {
  Bsgs bsgs{babies_, {}};
  for (const Batch& batch : batches_) {
    std::size_t first = 0;
    for (std::size_t g = 0; g < batch.giants.size(); ++g) {
      bsgs.groups.push_back({batch.giants[g], std::vector<BsgsTerm>(batch.ends[g] - first)});
      first = batch.ends[g];
    }
  }
  return transform_counts(transform_shape(bsgs, domain_));
}

std::size_t LinearTransform::memory_bytes() const {
  std::size_t bytes = 0;
  for (const Batch& batch : batches_) bytes += batch.values.memory_bytes();
  return bytes;
}

Result<const SwitchingKey*> LinearTransform::find_key(const Evaluator& evaluator, std::int64_t step,
                                                      const EvaluationKeys& keys) const {
  TACIT_TRY(const SwitchingKey* key,
            keys.find(rotation_element(evaluator.parameters(), step), domain_.level));
  if (key->request.shape.special_count == domain_.special_count) return key;
  return Error{ErrorCode::kKeyMissing, "the keys of one linear transform must share their special primes"};
}

Result<std::vector<ExtendedPair>> LinearTransform::rotate_babies(const Evaluator& evaluator,
                                                                 const Ciphertext& input,
                                                                 const EvaluationKeys& keys) const {
  const Parameters& parameters = evaluator.parameters();
  const KeySwitcher& switcher = evaluator.switcher();
  std::vector<const SwitchingKey*> baby_keys(babies_.size());
  std::map<int, Digits> digits;  // by digit size: one, unless the keys were trimmed to different levels
  std::vector<ExtendedPair> rotated;
  for (std::size_t i = 0; i < babies_.size(); ++i) {
    rotated.emplace_back(parameters, domain_.level, domain_.special_count);
    if (rotation_element(parameters, babies_[i]) == 1) continue;
    TACIT_TRY(baby_keys[i], find_key(evaluator, babies_[i], keys));
    const KeyShape& shape = baby_keys[i]->request.shape;
    if (!digits.contains(shape.digit_size))
      digits.emplace(shape.digit_size, switcher.decompose(input.parts[1], shape));
  }
  parallel_for(babies_.size(), [&](std::size_t i) {
    ExtendedPair& pair = rotated[i];
    if (baby_keys[i] == nullptr) {
      pair.c0.clear();
      pair.c1.clear();
      switcher.add_raised(pair.c0, input.parts[0], domain_.special_count, nullptr);
      switcher.add_raised(pair.c1, input.parts[1], domain_.special_count, nullptr);
      return;
    }
    const ring::Automorphism& automorphism = switcher.automorphism(baby_keys[i]->request.element);
    switcher.multiply(digits.at(baby_keys[i]->request.shape.digit_size), &automorphism, *baby_keys[i], pair,
                      Into::kFresh);
    switcher.add_raised(pair.c0, input.parts[0], domain_.special_count, &automorphism);
  });
  return rotated;
}

std::vector<ExtendedPair> LinearTransform::multiply(const Parameters& parameters,
                                                    const std::vector<ExtendedPair>& babies,
                                                    const Batch& batch) const {
  std::vector<ExtendedPair> products;
  for (std::size_t g = 0; g < batch.giants.size(); ++g)
    products.emplace_back(parameters, domain_.level, domain_.special_count);
  const std::size_t piece = parameters.degree() / kPieces;
  parallel_for(products[0].c0.limbs() * kPieces, [&](std::size_t job) {
    const std::size_t i = job / kPieces, at = job % kPieces * piece;
    std::vector<const u64*> x0, x1;
    for (const ExtendedPair& baby : babies) {
      x0.push_back(baby.c0.data(i) + at);
      x1.push_back(baby.c1.data(i) + at);
    }
    std::vector<u64*> out0, out1;
    for (ExtendedPair& product : products) {
      out0.push_back(product.c0.data(i) + at);
      out1.push_back(product.c1.data(i) + at);
    }
    AlignedVector<u64> scratch(ring::PlainProduct::kScratchWords * babies.size());
    kernels().plain_product(
        parameters.ring().modulus(parameters.limb_index(domain_.level, i)),
        {batch.values.limb(i, at), x0.data(), x1.data(), babies.size(), batch.babies.data(),
         batch.ends.data(), products.size(), out0.data(), out1.data(), scratch.data()},
        piece);
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
    kernels().permute(automorphism, permuted, product.c0.data(i), parameters.degree());
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
  TACIT_TRY(const std::vector<ExtendedPair> babies, rotate_babies(evaluator, input, keys));

  std::vector<ExtendedPair> sums;
  for (std::size_t c = 0; c < std::min(batches_[0].giants.size(), kChains); ++c)
    sums.emplace_back(parameters, domain_.level, domain_.special_count);
  for (const Batch& batch : batches_) {
    std::vector<ExtendedPair> products = multiply(parameters, babies, batch);
    std::vector<Status> statuses(sums.size());
    parallel_for(sums.size(), [&](std::size_t c) {
      for (std::size_t g = c; g < products.size() && statuses[c].ok(); g += sums.size()) {
        const Into into = &batch == &batches_[0] && g == c ? Into::kFresh : Into::kSum;
        statuses[c] = add_rotated(evaluator, batch.giants[g], products[g], keys, sums[c], into);
      }
    });
    for (Status& status : statuses) TACIT_CHECK(status);
  }
  if (sums.size() > 1) evaluator.switcher().add(sums[0], sums[1]);
  auto [c0, c1] = evaluator.switcher().mod_down(sums[0], true);
  Ciphertext out;
  out.parts.push_back(std::move(c0));
  out.parts.push_back(std::move(c1));
  out.scale = input.scale * scale_ / static_cast<double>(parameters.prime(domain_.level).value());
  return out;
}

}  // namespace tacit::ckks
