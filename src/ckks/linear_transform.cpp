// SPDX-License-Identifier: Apache-2.0
#include "ckks/linear_transform.h"

#include <algorithm>
#include <optional>

#include "base/parallel.h"
#include "ring/kernels/kernels.h"

namespace tacit::ckks {

using ring::kernels;
using ring::Poly;

Result<LinearTransform> LinearTransform::create(const Encoder& encoder, const std::vector<Group>& groups,
                                                int level, double scale) {
  const Parameters& parameters = encoder.parameters();
  if (level < 1) {
    return Error{ErrorCode::kLevelMismatch,
                 "a linear transform takes a level, so its input needs at least level 1"};
  }
  if (groups.empty() || std::ranges::any_of(groups, [](const Group& group) { return group.terms.empty(); })) {
    return Error{ErrorCode::kInvalidArgument,
                 "a linear transform needs at least one diagonal that is not zero"};
  }
  LinearTransform transform;
  transform.level_ = level;
  transform.scale_ = scale;
  for (const Group& group : groups) {
    for (const Term& term : group.terms) transform.babies_.push_back(term.baby);
  }
  std::ranges::sort(transform.babies_);
  const auto repeated = std::ranges::unique(transform.babies_);
  transform.babies_.erase(repeated.begin(), repeated.end());

  struct Job {
    const Term* term;
    EncodedTerm* encoded;
  };
  std::vector<Job> jobs;
  transform.groups_.resize(groups.size());
  for (std::size_t g = 0; g < groups.size(); ++g) {
    transform.groups_[g].giant = groups[g].giant;
    transform.groups_[g].terms.resize(groups[g].terms.size());
    for (std::size_t t = 0; t < groups[g].terms.size(); ++t) {
      jobs.push_back({&groups[g].terms[t], &transform.groups_[g].terms[t]});
    }
  }
  std::vector<Status> statuses(jobs.size());
  parallel_for(jobs.size(), [&](std::size_t i) {
    auto encoded = encoder.encode(jobs[i].term->values, scale, level, true);
    if (!encoded.ok()) {
      statuses[i] = std::move(encoded).error();
      return;
    }
    Poly& values = encoded->poly;
    for (std::size_t limb = 0; limb < values.limbs(); ++limb) {
      const ring::Modulus& q = parameters.ring().modulus(limb);
      kernels().multiply_constant(q, q.shoup(q.radix()), values.data(limb), values.data(limb),
                                  values.degree());
    }
    jobs[i].encoded->values = std::move(values);
    const auto position = std::ranges::lower_bound(transform.babies_, jobs[i].term->baby);
    jobs[i].encoded->baby = static_cast<std::size_t>(position - transform.babies_.begin());
  });
  for (Status& status : statuses) TACIT_CHECK(status);
  return transform;
}

std::size_t LinearTransform::memory_bytes() const {
  std::size_t bytes = 0;
  for (const EncodedGroup& group : groups_) {
    for (const EncodedTerm& term : group.terms)
      bytes += term.values.degree() * term.values.limbs() * sizeof(u64);
  }
  return bytes;
}

Result<std::vector<Ciphertext>> LinearTransform::rotate_babies(const Evaluator& evaluator,
                                                               const Ciphertext& input,
                                                               const EvaluationKeys& keys) const {
  // Digits are shared by the keys of one shape; rotate_hoisted falls back to a rotation of its own for any other.
  std::optional<HoistedCiphertext> hoisted;
  for (std::int64_t step : babies_) {
    const std::uint32_t element = rotation_element(evaluator.parameters(), step);
    if (element == 1 || hoisted) continue;
    TACIT_TRY(const SwitchingKey* key, keys.find(element, input.level()));
    TACIT_TRY(hoisted, evaluator.hoist(input, key->request.shape));
  }
  std::vector<Ciphertext> rotated(babies_.size());
  std::vector<Status> statuses(babies_.size());
  parallel_for(babies_.size(), [&](std::size_t i) {
    if (rotation_element(evaluator.parameters(), babies_[i]) == 1) {
      rotated[i] = input;
      return;
    }
    auto result = evaluator.rotate_hoisted(*hoisted, babies_[i], keys);
    if (result.ok()) {
      rotated[i] = std::move(result).value();
    } else {
      statuses[i] = std::move(result).error();
    }
  });
  for (Status& status : statuses) TACIT_CHECK(status);
  return rotated;
}

Ciphertext LinearTransform::sum_products(const Parameters& parameters, const EncodedGroup& group,
                                         const std::vector<Ciphertext>& babies) const {
  const std::size_t n = parameters.degree(), limbs = static_cast<std::size_t>(level_) + 1;
  Ciphertext sum;
  sum.parts.emplace_back(n, limbs);
  sum.parts.emplace_back(n, limbs);
  parallel_for(limbs, [&](std::size_t i) {
    std::vector<const u64*> values, c0, c1;
    for (const EncodedTerm& term : group.terms) {
      values.push_back(term.values.data(i));
      c0.push_back(babies[term.baby].parts[0].data(i));
      c1.push_back(babies[term.baby].parts[1].data(i));
    }
    kernels().inner_product(parameters.ring().modulus(i),
                            {values.data(), c0.data(), c1.data(), values.size(), nullptr,
                             sum.parts[0].data(i), sum.parts[1].data(i), false},
                            n);
  });
  return sum;
}

Status LinearTransform::add_group(const Evaluator& evaluator, const EncodedGroup& group,
                                  const std::vector<Ciphertext>& babies, const EvaluationKeys& keys,
                                  ExtendedPair& sum) const {
  const Parameters& parameters = evaluator.parameters();
  const KeySwitcher& switcher = evaluator.switcher();
  Ciphertext product = sum_products(parameters, group, babies);
  const std::uint32_t element = rotation_element(parameters, group.giant);
  if (element == 1) {
    switcher.add_raised(sum, product.parts[0], &product.parts[1]);
    return {};
  }
  TACIT_TRY(const SwitchingKey* key, keys.find(element, level_));
  const ring::Automorphism& automorphism = switcher.automorphism(element);
  const Digits digits = switcher.decompose(product.parts[1], key->request.shape);
  switcher.multiply(digits, *key, &automorphism, sum, true);
  Poly rotated(parameters.degree(), product.parts[0].limbs());
  for (std::size_t i = 0; i < rotated.limbs(); ++i) {
    kernels().permute(automorphism, rotated.data(i), product.parts[0].data(i), rotated.degree());
  }
  switcher.add_raised(sum, rotated, nullptr);
  return {};
}

Result<Ciphertext> LinearTransform::apply(const Evaluator& evaluator, const Ciphertext& input,
                                          const EvaluationKeys& keys) const {
  const Parameters& parameters = evaluator.parameters();
  if (input.level() != level_ || input.size() != 2) {
    return Error{ErrorCode::kLevelMismatch, "a linear transform for level " + std::to_string(level_) +
                                                " was given a ciphertext of level " +
                                                std::to_string(input.level()) + " and " +
                                                std::to_string(input.size()) + " parts"};
  }
  // All giants are summed before the division by P, so their keys must share it.
  std::optional<int> shared_count;
  for (const EncodedGroup& group : groups_) {
    const std::uint32_t element = rotation_element(parameters, group.giant);
    if (element == 1) continue;
    TACIT_TRY(const SwitchingKey* key, keys.find(element, level_));
    if (shared_count.value_or(key->request.shape.special_count) != key->request.shape.special_count) {
      return Error{ErrorCode::kKeyMissing,
                   "the giant-step keys of one linear transform must share their special primes"};
    }
    shared_count = key->request.shape.special_count;
  }
  const int special_count = shared_count.value_or(1);
  TACIT_TRY(const std::vector<Ciphertext> babies, rotate_babies(evaluator, input, keys));

  // Giants in as many chains as there may be threads, each with a sum of its own.
  const std::size_t chains = std::min<std::size_t>(groups_.size(), 2);
  std::vector<ExtendedPair> sums;
  for (std::size_t c = 0; c < chains; ++c)
    sums.push_back(evaluator.switcher().zero_pair(level_, special_count));
  std::vector<Status> statuses(chains);
  parallel_for(chains, [&](std::size_t c) {
    for (std::size_t g = c; g < groups_.size() && statuses[c].ok(); g += chains) {
      statuses[c] = add_group(evaluator, groups_[g], babies, keys, sums[c]);
    }
  });
  for (Status& status : statuses) TACIT_CHECK(status);
  for (std::size_t c = 1; c < chains; ++c) evaluator.switcher().add(sums[0], sums[c]);
  auto [c0, c1] = evaluator.switcher().mod_down(sums[0], true);
  Ciphertext out;
  out.parts.push_back(std::move(c0));
  out.parts.push_back(std::move(c1));
  out.scale = input.scale * scale_ / static_cast<double>(parameters.prime(level_).value());
  return out;
}

}  // namespace tacit::ckks
