// SPDX-License-Identifier: Apache-2.0
#include "ckks/linear_transform.h"

#include <algorithm>
#include <optional>

#include "base/parallel.h"
#include "ring/kernels/kernels.h"

namespace tacit::ckks {

using ring::kernels;

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
    auto encoded = encoder.encode_constant(jobs[i].term->values, scale, domain.level, domain.special_count);
    if (!encoded.ok()) {
      statuses[i] = std::move(encoded).error();
      return;
    }
    jobs[i].encoded->values = std::move(encoded).value();
    const auto position = std::ranges::lower_bound(transform.babies_, jobs[i].term->baby);
    jobs[i].encoded->baby = static_cast<std::size_t>(position - transform.babies_.begin());
  });
  for (Status& status : statuses) TACIT_CHECK(status);
  return transform;
}

std::size_t LinearTransform::memory_bytes() const {
  std::size_t bytes = 0;
  for (const EncodedGroup& group : groups_) {
    for (const EncodedTerm& term : group.terms) bytes += term.values.memory_bytes();
  }
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

void LinearTransform::add_products(const Parameters& parameters, const EncodedGroup& group,
                                   const std::vector<ExtendedPair>& babies, ExtendedPair& sum,
                                   Into into) const {
  parallel_for(sum.c0.limbs(), [&](std::size_t i) {
    std::vector<ring::CompactLimb> values;
    std::vector<const u64*> c0, c1;
    for (const EncodedTerm& term : group.terms) {
      values.push_back(term.values.limb(i));
      c0.push_back(babies[term.baby].c0.data(i));
      c1.push_back(babies[term.baby].c1.data(i));
    }
    kernels().plain_product(parameters.ring().modulus(parameters.limb_index(domain_.level, i)),
                            {values.data(), c0.data(), c1.data(), values.size(), sum.c0.data(i),
                             sum.c1.data(i), into == Into::kSum},
                            parameters.degree());
  });
}

Status LinearTransform::add_group(const Evaluator& evaluator, const EncodedGroup& group,
                                  const std::vector<ExtendedPair>& babies, const EvaluationKeys& keys,
                                  ExtendedPair& sum, Into into) const {
  const Parameters& parameters = evaluator.parameters();
  const KeySwitcher& switcher = evaluator.switcher();
  if (rotation_element(parameters, group.giant) == 1) {
    add_products(parameters, group, babies, sum, into);
    return {};
  }
  TACIT_TRY(const SwitchingKey* key, find_key(evaluator, group.giant, keys));
  ExtendedPair product(parameters, domain_.level, domain_.special_count);
  add_products(parameters, group, babies, product, Into::kFresh);
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

  // Giants in as many chains as there may be threads, each with a sum of its own.
  const std::size_t chains = std::min<std::size_t>(groups_.size(), 2);
  std::vector<ExtendedPair> sums;
  for (std::size_t c = 0; c < chains; ++c)
    sums.emplace_back(parameters, domain_.level, domain_.special_count);
  std::vector<Status> statuses(chains);
  parallel_for(chains, [&](std::size_t c) {
    for (std::size_t g = c; g < groups_.size() && statuses[c].ok(); g += chains) {
      statuses[c] =
          add_group(evaluator, groups_[g], babies, keys, sums[c], g == c ? Into::kFresh : Into::kSum);
    }
  });
  for (Status& status : statuses) TACIT_CHECK(status);
  if (chains == 2) {
    parallel_for(sums[0].c0.limbs(), [&](std::size_t i) {
      const ring::Modulus& q = parameters.ring().modulus(parameters.limb_index(domain_.level, i));
      for (ring::Poly ExtendedPair::*part : {&ExtendedPair::c0, &ExtendedPair::c1}) {
        u64* sum = (sums[0].*part).data(i);
        kernels().add(q, sum, sum, (sums[1].*part).data(i), parameters.degree());
      }
    });
  }
  auto [c0, c1] = evaluator.switcher().mod_down(sums[0], true);
  Ciphertext out;
  out.parts.push_back(std::move(c0));
  out.parts.push_back(std::move(c1));
  out.scale = input.scale * scale_ / static_cast<double>(parameters.prime(domain_.level).value());
  return out;
}

}  // namespace tacit::ckks
