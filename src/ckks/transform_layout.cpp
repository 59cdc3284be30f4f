// SPDX-License-Identifier: Apache-2.0
#include "ckks/transform_layout.h"

#include <algorithm>
#include <bit>
#include <complex>

#include "base/parallel.h"
#include "ckks/evaluator.h"
#include "ring/kernels/kernels.h"

namespace tacit::ckks {

using ring::kernels;

std::vector<DiagonalIndex> TransformDiagonals::indices() const {
  std::vector<DiagonalIndex> indices;
  for (const auto& [diagonal, entries] : values) indices.push_back({0, 0, diagonal});
  return indices;
}

Status TransformDiagonals::check(std::size_t slots) const {
  if (!std::has_single_bit(period) || period > slots) {
    return Error{ErrorCode::kInvalidArgument,
                 "the period of a linear transform's input must be a power of two up to the " +
                     std::to_string(slots) + " slots, not " + std::to_string(period)};
  }
  for (const auto& [diagonal, entries] : values) {
    if (diagonal >= period) {
      return Error{ErrorCode::kInvalidArgument, "diagonal " + std::to_string(diagonal) +
                                                    " is not below the input's period, " +
                                                    std::to_string(period)};
    }
    if (entries.empty() || slots % entries.size() != 0) {
      return Error{ErrorCode::kInvalidArgument,
                   "diagonal " + std::to_string(diagonal) + " has " + std::to_string(entries.size()) +
                       " values, which does not divide the " + std::to_string(slots) + " slots"};
    }
  }
  return {};
}

Result<std::vector<TransformGroup>> TransformDiagonals::groups(std::size_t slots, BsgsSplit split) const {
  TACIT_CHECK(check(slots));
  if (split.width == 0) return Error{ErrorCode::kInvalidArgument, "a split of width 0 has no babies"};
  if (split.shift != 0 && (!std::has_single_bit(split.shift) || split.shift >= period))
    return Error{ErrorCode::kInvalidArgument,
                 "the shift of complex folding must be a power of two below the period"};
  const Bsgs bsgs = make_bsgs(indices(), period, split);
  std::vector<TransformGroup> groups;
  for (const BsgsGroup& group : bsgs.groups) {
    TransformGroup& made = groups.emplace_back(TransformGroup{group.giant, {}, group.output});
    const auto rotated = [&](const std::optional<std::size_t>& diagonal) {
      return diagonal ? rotate_values(values.at(*diagonal), -group.giant) : std::vector<double>();
    };
    for (const BsgsTerm& term : group.terms)
      made.terms.push_back({bsgs.babies[term.baby].step, rotated(term.direct), rotated(term.shifted),
                            bsgs.babies[term.baby].input});
  }
  return groups;
}

Result<TransformLayout> TransformLayout::create(const std::vector<TransformGroup>& groups, int level,
                                                std::size_t shift) {
  if (level < 1) {
    return Error{ErrorCode::kLevelMismatch,
                 "a linear transform takes a level, so its input needs at least level 1"};
  }
  if (groups.empty() ||
      std::ranges::any_of(groups, [](const TransformGroup& group) { return group.terms.empty(); })) {
    return Error{ErrorCode::kInvalidArgument,
                 "a linear transform needs at least one diagonal that is not zero"};
  }
  if (shift != 0 && !std::has_single_bit(shift))
    return Error{ErrorCode::kInvalidArgument, "the shift of complex folding must be a power of two"};
  TransformLayout layout;
  for (const TransformGroup& group : groups)
    for (const TransformTerm& term : group.terms) layout.babies.push_back({term.input, term.baby});
  std::ranges::sort(layout.babies);
  const auto repeated = std::ranges::unique(layout.babies);
  layout.babies.erase(repeated.begin(), repeated.end());
  layout.inputs = layout.babies.back().input + 1;
  for (const TransformGroup& group : groups) {
    if (group.output > layout.outputs() || group.output + 1 < layout.outputs())
      return Error{ErrorCode::kInvalidArgument, "a linear transform's outputs must ascend without a gap"};
    if (group.output == layout.outputs()) layout.ends_of_outputs.push_back(0);
    for (const TransformTerm& term : group.terms) {
      const auto place = std::ranges::lower_bound(layout.babies, BsgsBaby{term.input, term.baby});
      layout.term_babies.push_back(static_cast<std::uint32_t>(place - layout.babies.begin()));
    }
    layout.giants.push_back(group.giant);
    layout.ends.push_back(layout.term_babies.size());
    layout.ends_of_outputs.back() = layout.giants.size();
  }
  return layout;
}

Bsgs TransformLayout::bsgs(std::size_t shift) const {
  Bsgs bsgs{babies, {}, shift};
  std::size_t first = 0;
  std::uint32_t output = 0;
  for (std::size_t g = 0; g < giants.size(); ++g) {
    if (g == ends_of_outputs[output]) ++output;
    bsgs.groups.push_back({giants[g], std::vector<BsgsTerm>(ends[g] - first), output});
    first = ends[g];
  }
  return bsgs;
}

Status TransformLayout::check(std::span<const Ciphertext> given, int level) const {
  if (given.size() != inputs)
    return Error{ErrorCode::kLevelMismatch, "a linear transform of " + std::to_string(inputs) +
                                                " ciphertexts was given " + std::to_string(given.size())};
  for (const Ciphertext& input : given) {
    if (input.level() != level || input.size() != 2) {
      return Error{ErrorCode::kLevelMismatch, "a linear transform for level " + std::to_string(level) +
                                                  " was given a ciphertext of level " +
                                                  std::to_string(input.level()) + " and " +
                                                  std::to_string(input.size()) + " parts"};
    }
    if (!same_scale(input.scale, given[0].scale))
      return Error{ErrorCode::kScaleMismatch, "a linear transform was given ciphertexts of different scales"};
  }
  return {};
}

namespace {

// What is encoded for a term under complex folding. X^(N/2), which multiplies by i in the NTT form for nothing, stands for
// i in even and for -i in odd slots, since 3^j = 3 modulo 4 for odd j (Encoder's slot order).
std::vector<std::complex<double>> folded_values(const TransformTerm& term) {
  const std::size_t period =
      std::max({std::size_t{2}, term.values.size(), term.shifted.size()});  // the signs alternate
  std::vector<std::complex<double>> folded(period);
  for (std::size_t t = 0; t < period; ++t) {
    const double sign = (static_cast<std::int64_t>(t) + term.baby) % 2 == 0 ? 1 : -1;
    const double direct = term.values.empty() ? 0 : term.values[t % term.values.size()];
    const double shifted = term.shifted.empty() ? 0 : term.shifted[t % term.shifted.size()];
    folded[t] = {direct / 2, -sign * shifted / 2};
  }
  return folded;
}

}  // namespace

Status encode_term(const Encoder& encoder, const TransformTerm& term, std::size_t shift, double scale,
                   int level, ring::Constants& out, std::size_t row) {
  if (shift == 0) return encoder.encode_constant(term.values, scale, level, out, row);
  return encoder.encode_constant(folded_values(term), scale, level, out, row);
}

// a + X^(N/2) b: position j of the NTT form has the root psi^(2 brv(j) + 1), whose power N/2 is psi^(N/2) in the first half
// of the positions and its negative in the second.
Ciphertext add_times_i(const Parameters& parameters, const Ciphertext& a, const Ciphertext& b) {
  Ciphertext out = a;
  const std::size_t half = parameters.degree() / 2;
  for (std::size_t part = 0; part < out.parts.size(); ++part) {
    parallel_for(out.parts[part].limbs(), [&](std::size_t i) {
      const ring::NttTable& table = parameters.ring().ntt(i);
      const u64 root = table.roots[1];
      u64* words = out.parts[part].data(i);
      const u64* added = b.parts[part].data(i);
      kernels().add_multiple(table.modulus, table.modulus.shoup(root), words, added, half);
      kernels().add_multiple(table.modulus, table.modulus.shoup(table.modulus.negate(root)), words + half,
                             added + half, half);
    });
  }
  return out;
}

}  // namespace tacit::ckks
