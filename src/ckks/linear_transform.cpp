// SPDX-License-Identifier: Apache-2.0
#include "ckks/linear_transform.h"

#include <algorithm>
#include <bit>
#include <complex>

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

std::vector<DiagonalIndex> indices_of(const LinearTransform::Diagonals& diagonals) {
  std::vector<DiagonalIndex> indices;
  for (const auto& [diagonal, values] : diagonals.values) indices.push_back({0, 0, diagonal});
  return indices;
}

// What is encoded for a term under complex folding. X^(N/2), which multiplies by i in the NTT form for nothing, stands for
// i in even and for -i in odd slots, since 3^j = 3 modulo 4 for odd j (Encoder's slot order).
std::vector<std::complex<double>> folded_values(const LinearTransform::Term& term) {
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

int folding_digit_size(const TransformDomain& domain, int level) {
  return std::min(domain.baby_digit_size, level + 1);
}

}  // namespace

Result<LinearTransform> LinearTransform::create(const Encoder& encoder, const std::vector<Group>& groups,
                                                const Domain& domain, double scale, std::size_t shift) {
  if (domain.level < 1) {
    return Error{ErrorCode::kLevelMismatch,
                 "a linear transform takes a level, so its input needs at least level 1"};
  }
  if (groups.empty() || std::ranges::any_of(groups, [](const Group& group) { return group.terms.empty(); })) {
    return Error{ErrorCode::kInvalidArgument,
                 "a linear transform needs at least one diagonal that is not zero"};
  }
  if (shift != 0 && !std::has_single_bit(shift))
    return Error{ErrorCode::kInvalidArgument, "the shift of complex folding must be a power of two"};
  LinearTransform transform;
  transform.domain_ = domain;
  transform.scale_ = scale;
  transform.shift_ = shift;
  for (const Group& group : groups) {
    for (const Term& term : group.terms) transform.babies_.push_back({term.input, term.baby});
  }
  std::ranges::sort(transform.babies_);
  const auto repeated = std::ranges::unique(transform.babies_);
  transform.babies_.erase(repeated.begin(), repeated.end());
  transform.inputs_ = transform.babies_.back().input + 1;

  const Parameters& parameters = encoder.parameters();
  const std::vector<ring::Modulus> moduli = parameters.extended_moduli(domain.level, domain.special_count);
  std::vector<const Term*> terms;
  for (const Group& group : groups) {
    if (group.output > transform.outputs() || group.output + 1 < transform.outputs())
      return Error{ErrorCode::kInvalidArgument, "a linear transform's outputs must ascend without a gap"};
    if (group.output == transform.outputs()) transform.ends_of_outputs_.push_back(0);
    for (const Term& term : group.terms) {
      terms.push_back(&term);
      const auto place = std::ranges::lower_bound(transform.babies_, BsgsBaby{term.input, term.baby});
      transform.term_babies_.push_back(static_cast<std::uint32_t>(place - transform.babies_.begin()));
    }
    transform.giants_.push_back(group.giant);
    transform.ends_.push_back(terms.size());
    transform.ends_of_outputs_.back() = transform.giants_.size();
  }
  transform.values_ = ring::Constants(parameters.degree(), moduli, terms.size());
  std::vector<Status> statuses(terms.size());
  parallel_for(terms.size(), [&](std::size_t i) {
    statuses[i] =
        shift == 0
            ? encoder.encode_constant(terms[i]->values, scale, domain.level, transform.values_, i)
            : encoder.encode_constant(folded_values(*terms[i]), scale, domain.level, transform.values_, i);
  });
  for (Status& status : statuses) TACIT_CHECK(status);
  return transform;
}

Result<LinearTransform> LinearTransform::create(const Encoder& encoder, const Diagonals& diagonals,
                                                const Domain& domain, double scale, BsgsSplit split) {
  TACIT_CHECK(tacit::ckks::check(diagonals, encoder.parameters().slots()));
  if (split.width == 0) return Error{ErrorCode::kInvalidArgument, "a split of width 0 has no babies"};
  if (split.shift != 0 && (!std::has_single_bit(split.shift) || split.shift >= diagonals.period))
    return Error{ErrorCode::kInvalidArgument,
                 "the shift of complex folding must be a power of two below the period"};
  const Bsgs bsgs = make_bsgs(indices_of(diagonals), diagonals.period, split);
  std::vector<Group> groups;
  for (const BsgsGroup& group : bsgs.groups) {
    Group& made = groups.emplace_back(Group{group.giant, {}, group.output});
    const auto rotated = [&](const std::optional<std::size_t>& diagonal) {
      return diagonal ? rotate_values(diagonals.values.at(*diagonal), -group.giant) : std::vector<double>();
    };
    for (const BsgsTerm& term : group.terms)
      made.terms.push_back({bsgs.babies[term.baby].step, rotated(term.direct), rotated(term.shifted),
                            bsgs.babies[term.baby].input});
  }
  return create(encoder, groups, domain, scale, split.shift);
}

Result<LinearTransform> LinearTransform::create(const Encoder& encoder, const Diagonals& diagonals,
                                                const Domain& domain, double scale, const UnitCosts& unit) {
  TACIT_CHECK(tacit::ckks::check(diagonals, encoder.parameters().slots()));
  return create(encoder, diagonals, domain, scale,
                choose_split(indices_of(diagonals), diagonals.period, domain, unit));
}

std::vector<KeyRequest> LinearTransform::key_requests(const Parameters& parameters) const {
  std::map<std::uint32_t, KeyShape> shapes;  // the first of two for one element stays
  const auto add = [&](std::uint32_t element, int level, int digit_size) {
    shapes.emplace(element, KeyShape{level, digit_size, domain_.special_count});
  };
  for (const BsgsBaby& baby : babies_)
    add(rotation_element(parameters, baby.step), domain_.level, domain_.baby_digit_size);
  if (shift_ != 0) {
    add(rotation_element(parameters, static_cast<std::int64_t>(shift_)), domain_.level,
        domain_.baby_digit_size);
    add(conjugation_element(parameters), domain_.level - 1, folding_digit_size(domain_, domain_.level - 1));
  }
  for (std::int64_t giant : giants_)
    add(rotation_element(parameters, giant), domain_.level, domain_.giant_digit_size);
  shapes.erase(1);  // the identity
  std::vector<KeyRequest> requests;
  for (const auto& [element, shape] : shapes) requests.push_back({element, shape});
  return requests;
}

KernelCounts LinearTransform::counts() const {
  Bsgs bsgs{babies_, {}, shift_};
  std::size_t first = 0;
  std::uint32_t output = 0;
  for (std::size_t g = 0; g < giants_.size(); ++g) {
    if (g == ends_of_outputs_[output]) ++output;
    bsgs.groups.push_back({giants_[g], std::vector<BsgsTerm>(ends_[g] - first), output});
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
                                                              std::span<const Ciphertext> inputs,
                                                              const EvaluationKeys& keys) const {
  const Parameters& parameters = evaluator.parameters();
  const KeySwitcher& switcher = evaluator.switcher();
  AlignedVector<Rotation> rotations(babies_.size());
  AlignedVector<Digits>
      digits;                // of each input of one size, unless the keys were trimmed to different levels
  std::size_t of_input = 0;  // where those of the present input begin
  bool expanding = false;
  for (std::size_t b = 0; b < babies_.size(); ++b) {
    if (b > 0 && babies_[b].input != babies_[b - 1].input) of_input = digits.size();
    if (rotation_element(parameters, babies_[b].step) == 1) continue;
    TACIT_TRY(const SwitchingKey* key, find_key(evaluator, babies_[b].step, keys));
    const KeyShape& shape = key->request.shape;
    const auto found = std::find_if(digits.begin() + static_cast<std::ptrdiff_t>(of_input), digits.end(),
                                    [&](const Digits& made) { return made.digit_size == shape.digit_size; });
    rotations[b] = {key, &switcher.automorphism(key->request.element),
                    static_cast<std::size_t>(found - digits.begin())};
    if (found == digits.end()) digits.push_back(switcher.decompose(inputs[babies_[b].input].parts[1], shape));
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
      rotate(switcher, inputs[babies_[b].input], digits, rotations[b], piece, out0, out1);
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

Status LinearTransform::check(std::span<const Ciphertext> inputs) const {
  if (inputs.size() != inputs_)
    return Error{ErrorCode::kLevelMismatch, "a linear transform of " + std::to_string(inputs_) +
                                                " ciphertexts was given " + std::to_string(inputs.size())};
  for (const Ciphertext& input : inputs) {
    if (input.level() != domain_.level || input.size() != 2) {
      return Error{ErrorCode::kLevelMismatch,
                   "a linear transform for level " + std::to_string(domain_.level) +
                       " was given a ciphertext of level " + std::to_string(input.level()) + " and " +
                       std::to_string(input.size()) + " parts"};
    }
    if (!same_scale(input.scale, inputs[0].scale))
      return Error{ErrorCode::kScaleMismatch, "a linear transform was given ciphertexts of different scales"};
  }
  return {};
}

Result<AlignedVector<Ciphertext>> LinearTransform::apply(const Evaluator& evaluator,
                                                         std::span<const Ciphertext> inputs,
                                                         const EvaluationKeys& keys) const {
  TACIT_CHECK(check(inputs));
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
    const std::size_t first = o == 0 ? 0 : ends_of_outputs_[o - 1], groups = ends_of_outputs_[o] - first;
    Result<Ciphertext> sum = sum_up(evaluator, std::span(products).subspan(first, groups),
                                    std::span(giants_).subspan(first, groups), keys);
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
