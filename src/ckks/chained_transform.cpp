// SPDX-License-Identifier: Apache-2.0
#include "ckks/chained_transform.h"

#include <numeric>
#include <optional>
#include <utility>

#include "base/parallel.h"
#include "ring/kernels/kernels.h"

namespace tacit::ckks {

using ring::kernels;

Result<ChainedTransform> ChainedTransform::create(const Encoder& encoder,
                                                  const std::vector<TransformGroup>& groups, int level,
                                                  const ChainDomain& domain, double scale,
                                                  std::size_t shift) {
  ChainedTransform transform;
  TACIT_TRY(transform.layout_, TransformLayout::create(groups, level, shift));
  transform.level_ = level;
  transform.scale_ = scale;
  transform.shift_ = shift;
  std::optional<RotationChains> rotations = make_rotation_chains(transform.layout_.bsgs(shift), domain);
  if (!rotations)
    return Error{ErrorCode::kKeyMissing,
                 "the rotations that there are keys for do not make up those of a linear transform"};
  transform.rotations_ = *std::move(rotations);

  const Parameters& parameters = encoder.parameters();
  const std::vector<ring::Modulus> moduli = parameters.extended_moduli(level, 0);
  std::vector<std::pair<std::size_t, std::size_t>> places;  // of each term: its group and its row
  for (std::size_t g = 0; g < groups.size(); ++g) {
    transform.values_.emplace_back(parameters.degree(), moduli, groups[g].terms.size());
    for (std::size_t row = 0; row < groups[g].terms.size(); ++row) places.emplace_back(g, row);
  }
  std::vector<Status> statuses(places.size());
  parallel_for(places.size(), [&](std::size_t i) {
    const auto [g, row] = places[i];
    statuses[i] = encode_term(encoder, groups[g].terms[row], shift, scale, level, transform.values_[g], row);
  });
  for (Status& status : statuses) TACIT_CHECK(status);
  return transform;
}

std::size_t ChainedTransform::memory_bytes() const {
  return std::accumulate(
      values_.begin(), values_.end(), std::size_t{0},
      [](std::size_t sum, const ring::Constants& group) { return sum + group.memory_bytes(); });
}

Result<ChainedTransform::Rotated> ChainedTransform::rotate_input(const Evaluator& evaluator,
                                                                 const Ciphertext& input,
                                                                 const RotationTree& tree,
                                                                 const EvaluationKeys& keys) const {
  Rotated rotated = {input};
  if (shift_ != 0) {
    Ciphertext shifted = input;
    for (std::int64_t step : rotations_.shift) { TACIT_TRY(shifted, evaluator.rotate(shifted, step, keys)); }
    rotated.front() = add_times_i(evaluator.parameters(), input, shifted);
  }
  for (std::size_t node = 1; node < tree.nodes.size(); ++node) {
    TACIT_TRY(Ciphertext made,
              evaluator.rotate(rotated[tree.nodes[node].parent], tree.nodes[node].step, keys));
    rotated.push_back(std::move(made));
  }
  return rotated;
}

Ciphertext ChainedTransform::multiply(const Parameters& parameters, std::size_t group,
                                      const AlignedVector<const Ciphertext*>& babies) const {
  const std::size_t n = parameters.degree(), limbs = static_cast<std::size_t>(level_) + 1;
  const std::size_t first = group == 0 ? 0 : layout_.ends[group - 1];
  const std::size_t terms = layout_.ends[group] - first;
  std::vector<std::uint32_t> factors(terms);
  std::iota(factors.begin(), factors.end(), 0u);
  Ciphertext product;
  for (int part = 0; part < 2; ++part) product.parts.emplace_back(n, limbs);
  parallel_for(limbs, [&](std::size_t i) {
    AlignedVector<const u64*> x0, x1;
    for (std::size_t j = 0; j < terms; ++j) {
      const Ciphertext& baby = *babies[layout_.term_babies[first + j]];
      x0.push_back(baby.parts[0].data(i));
      x1.push_back(baby.parts[1].data(i));
    }
    AlignedVector<u64> scratch(ring::PlainProduct::kScratchWords * terms);
    u64 *const out0 = product.parts[0].data(i), *const out1 = product.parts[1].data(i);
    kernels().plain_product(parameters.ring().modulus(i),
                            {values_[group].limb(i), x0.data(), x1.data(), terms, factors.data(), &terms, 1,
                             &out0, &out1, scratch.data()},
                            n);
  });
  return product;
}

Result<Ciphertext> ChainedTransform::sum_up(const Evaluator& evaluator, std::size_t output,
                                            const AlignedVector<const Ciphertext*>& babies,
                                            const EvaluationKeys& keys) const {
  const RotationTree& tree = rotations_.giants[output];
  AlignedVector<std::optional<Ciphertext>> sums(tree.nodes.size());
  const auto add = [&](std::size_t node, Ciphertext summand) -> Status {
    if (!sums[node]) {
      sums[node] = std::move(summand);
    } else {
      TACIT_TRY(sums[node], evaluator.add(*sums[node], summand));
    }
    return {};
  };
  std::vector<std::vector<std::size_t>> groups(tree.nodes.size());  // at each node
  for (std::size_t t = 0; t < tree.targets.size(); ++t)
    groups[tree.targets[t]].push_back(layout_.first_group(output) + t);
  // Every leaf is a target, so that there is a sum wherever this comes.
  for (std::size_t node = tree.nodes.size(); node-- > 0;) {
    for (std::size_t group : groups[node])
      TACIT_CHECK(add(node, multiply(evaluator.parameters(), group, babies)));
    if (node == 0) break;
    TACIT_TRY(Ciphertext rotated, evaluator.rotate(*sums[node], tree.nodes[node].step, keys));
    sums[node].reset();
    TACIT_CHECK(add(tree.nodes[node].parent, std::move(rotated)));
  }
  return *std::move(sums.front());
}

Result<AlignedVector<Ciphertext>> ChainedTransform::apply(const Evaluator& evaluator,
                                                          std::span<const Ciphertext> inputs,
                                                          const EvaluationKeys& keys) const {
  TACIT_CHECK(layout_.check(inputs, level_));
  AlignedVector<Rotated> rotated;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    TACIT_TRY(Rotated of_input, rotate_input(evaluator, inputs[i], rotations_.babies[i], keys));
    rotated.push_back(std::move(of_input));
  }
  AlignedVector<const Ciphertext*> babies;
  for (std::size_t b = 0, of_input = 0; b < layout_.babies.size(); ++b) {
    of_input = b > 0 && layout_.babies[b].input == layout_.babies[b - 1].input ? of_input + 1 : 0;
    const std::uint32_t input = layout_.babies[b].input;
    babies.push_back(&rotated[input][rotations_.babies[input].targets[of_input]]);
  }
  const double scale =
      inputs[0].scale * scale_ / static_cast<double>(evaluator.parameters().prime(level_).value());
  AlignedVector<Ciphertext> out;
  for (std::size_t o = 0; o < outputs(); ++o) {
    TACIT_TRY(const Ciphertext sum, sum_up(evaluator, o, babies, keys));
    TACIT_TRY(Ciphertext rescaled, evaluator.rescale(sum));
    if (shift_ != 0) {
      TACIT_TRY(const Ciphertext conjugate, evaluator.conjugate(rescaled, keys));
      TACIT_TRY(rescaled, evaluator.add(rescaled, conjugate));
    }
    rescaled.scale = scale;
    out.push_back(std::move(rescaled));
  }
  return out;
}

}  // namespace tacit::ckks
