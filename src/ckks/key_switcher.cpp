// SPDX-License-Identifier: Apache-2.0
#include "ckks/key_switcher.h"

#include <algorithm>
#include <array>
#include <cassert>

#include "base/parallel.h"
#include "ckks/expand.h"
#include "ring/kernels/kernels.h"

namespace tacit::ckks {

using ring::kernels;
using ring::Poly;

namespace {

// One pointer for each digit or source prime, and one for a quotient.
using Pointers = std::array<const u64*, kMaxPrimes + 1>;

// Limbs next to each other that are made together, which brings what they are made from near only once.
struct Run {
  std::size_t first, count;
};

constexpr std::size_t kMaxRun = ring::BaseConverter::kMaxTargets;

// Where a run's limbs of the two polynomials of a pair go.
using RunPair = std::array<std::array<u64*, 2>, kMaxRun>;

RunPair run_of(ExtendedPair& pair, Run run) {
  RunPair out{};
  for (std::size_t i = 0; i < run.count; ++i)
    out[i] = {pair.c0.data(run.first + i), pair.c1.data(run.first + i)};
  return out;
}

// Calls body(run) for runs that are all limbs together: an even number of them, of nearly one size, which two threads share
// without waiting. Shorter limbs are better made alone: most of one stays in the first-level cache from pass to pass.
template <class Body>
void for_each_run(std::size_t degree, std::size_t limbs, const Body& body) {
  constexpr std::size_t kMinDegree = std::size_t{1} << 14;
  const std::size_t runs =
      degree < kMinDegree ? limbs : std::min(limbs, (limbs + 2 * kMaxRun - 1) / (2 * kMaxRun) * 2);
  parallel_for(runs, [&](std::size_t k) {
    const std::size_t first = k * limbs / runs;
    body(Run{first, (k + 1) * limbs / runs - first});
  });
}

// The halves of a key at one prime; what is kept as a seed is expanded.
struct KeyRows {
  // Limb `limb`, from place `first` on, of at least the first `count` digits.
  KeyRows(const Parameters& parameters, const SwitchingKey& key, std::size_t count, std::size_t limb,
          std::size_t first = 0)
      : b(key.b.limb(limb, first)) {
    if (key.a.limbs() > 0) {
      a = key.a.limb(limb, first);
      return;
    }
    const ring::Modulus& q = key.b.modulus(limb);
    expanded = ring::Constants(parameters.degree(), {q}, count);
    AlignedVector<u64> words(parameters.degree());
    for (std::size_t j = 0; j < count; ++j) {
      expand_key_limb(q, key.seed, j, words);
      expanded.store(0, j, words.data());
    }
    a = expanded.limb(0, first);
  }

  ring::ConstantRows b, a;
  ring::Constants expanded;
};

// An addend at one limb, as the kernel takes it.
ring::KeyAddend addend_at(const Addend& addend, const ring::Modulus& q, std::size_t limb,
                          const ring::Automorphism* permutation) {
  ring::KeyAddend at{nullptr, nullptr, q.shoup_one(), permutation, nullptr, nullptr};
  if (addend.raise != nullptr) {
    if (limb >= addend.raise->target_count()) return at;
    at.factor = addend.raise->product(limb);
  }
  if (addend.c0 != nullptr) at.c0 = addend.c0->data(limb);
  if (addend.c1 != nullptr) at.c1 = addend.c1->data(limb);
  if (addend.b0 != nullptr) {
    at.b0 = addend.b0->data(limb);
    at.b1 = addend.b1->data(limb);
  }
  return at;
}

// Of a key for a higher level, the limbs in between are skipped.
std::size_t key_limb_of(const SwitchingKey& key, int level, std::size_t limb) {
  return limb <= static_cast<std::size_t>(level)
             ? limb
             : limb + static_cast<std::size_t>(key.request.shape.level - level);
}

}  // namespace

ExtendedPair::ExtendedPair(const Parameters& parameters, int level_in, int special_count_in)
    : level(level_in),
      special_count(special_count_in),
      c0(parameters.degree(), extended_limbs(level, special_count)),
      c1(parameters.degree(), extended_limbs(level, special_count)) {}

const ring::Automorphism& KeySwitcher::automorphism(std::uint32_t element) const {
  std::lock_guard lock(mutex_);
  auto& entry = automorphisms_[element];
  if (!entry) entry = std::make_unique<const ring::Automorphism>(parameters_.log_degree(), element);
  return *entry;
}

const std::vector<ring::BaseConverter>& KeySwitcher::digit_converters(int level,
                                                                      const KeyShape& shape) const {
  std::lock_guard lock(mutex_);
  auto& entry = digit_converters_[{level, shape.digit_size, shape.special_count}];
  if (entry) return *entry;
  std::vector<ring::BaseConverter> converters;
  for (int first = 0; first <= level; first += shape.digit_size) {
    const int last = std::min(first + shape.digit_size, level + 1);
    std::vector<std::size_t> sources, targets;
    for (std::size_t i = 0; i < extended_limbs(level, shape.special_count); ++i) {
      const bool inside = static_cast<int>(i) >= first && static_cast<int>(i) < last;
      (inside ? sources : targets).push_back(parameters_.limb_index(level, i));
    }
    converters.emplace_back(parameters_.ring(), std::move(sources), std::move(targets));
  }
  entry = std::make_unique<const std::vector<ring::BaseConverter>>(std::move(converters));
  return *entry;
}

const ring::BaseConverter& KeySwitcher::division(int level, int special_count, bool rescale) const {
  std::lock_guard lock(mutex_);
  auto& entry = divisions_[{level, special_count, rescale}];
  if (entry) return *entry;
  std::vector<std::size_t> sources, targets;
  for (int i = 0; i < special_count; ++i) sources.push_back(parameters_.special_index(i));
  if (rescale) sources.push_back(static_cast<std::size_t>(level));
  for (int i = 0; i < level + (rescale ? 0 : 1); ++i) targets.push_back(static_cast<std::size_t>(i));
  entry =
      std::make_unique<const ring::BaseConverter>(parameters_.ring(), std::move(sources), std::move(targets));
  return *entry;
}

Addend KeySwitcher::raised(const Poly* c0, const Poly* c1, int special_count) const {
  const int level = static_cast<int>((c0 != nullptr ? c0 : c1)->limbs()) - 1;
  return {c0, c1, &division(level, special_count, false), nullptr, nullptr};
}

Poly KeySwitcher::prepare_digits(const Poly& poly, const ring::Automorphism* permutation,
                                 const std::vector<ring::BaseConverter>& converters) const {
  Poly prepared(poly.degree(), poly.limbs());
  const std::size_t digit_size = converters[0].source_count();
  parallel_for(poly.limbs(), [&](std::size_t i) {
    kernels().inverse_ntt(parameters_.ring().ntt(i), converters[i / digit_size].scale(i % digit_size),
                          permutation, prepared.data(i), poly.data(i));
  });
  return prepared;
}

namespace {

// Makes digits at some primes, in NTT form.
struct DigitRaiser {
  const Parameters& parameters;
  const std::vector<ring::BaseConverter>& converters;
  const Poly& poly;
  const Poly& prepared;
  const ring::Automorphism* permutation;
  int level;

  // The limbs of digit j: words that the polynomial has itself, or that are made in scratch(i) for limb i of the run.
  template <class Scratch>
  std::array<const u64*, kMaxRun> raise(std::size_t j, Run run, const Scratch& scratch) const {
    const ring::BaseConverter& converter = converters[j];
    const std::size_t first = j * converters[0].source_count(), count = converter.source_count();
    std::array<const u64*, kMaxRun> words{};
    std::array<ring::BaseConverter::Conversion, kMaxRun> conversions;
    std::size_t converted = 0;
    for (std::size_t i = 0; i < run.count; ++i) {
      const std::size_t limb = run.first + i;
      if (limb < first || limb >= first + count) {
        conversions[converted++] = {limb < first ? limb : limb - count, scratch(i)};
      } else if (permutation == nullptr) {  // a digit's own primes keep what they had
        words[i] = poly.data(limb);
        continue;
      } else {
        kernels().permute(*permutation, 0, scratch(i), poly.data(limb), poly.degree());
      }
      words[i] = scratch(i);
    }
    Pointers y;
    for (std::size_t s = 0; s < count; ++s) y[s] = prepared.data(first + s);
    converter.convert({conversions.data(), converted}, y.data());
    return words;
  }
};

// The products of one polynomial's digits with a key, and what they are added to, run by run.
struct RunSwitcher {
  void operator()(Run run, const RunPair& out) const {
    const Parameters& parameters = raiser.parameters;
    const std::size_t n = parameters.degree(), count = raiser.converters.size();
    Poly scratch(n, run.count * count);
    std::array<Pointers, kMaxRun> digits;
    for (std::size_t j = 0; j < count; ++j) {
      const auto words = raiser.raise(j, run, [&](std::size_t i) { return scratch.data(i * count + j); });
      for (std::size_t i = 0; i < run.count; ++i) digits[i][j] = words[i];
    }
    for (std::size_t i = 0; i < run.count; ++i) {
      const std::size_t limb = run.first + i;
      const KeyRows rows(parameters, key, count, key_limb_of(key, raiser.level, limb));
      const ring::Modulus& q = parameters.ring().modulus(parameters.limb_index(raiser.level, limb));
      kernels().key_product(q,
                            {digits[i].data(), rows.b, rows.a, count, nullptr, out[i][0], out[i][1],
                             accumulate, 0, addend_at(addend, q, limb, raiser.permutation)},
                            n);
    }
  }

  const DigitRaiser& raiser;
  const SwitchingKey& key;
  const Addend& addend;
  bool accumulate;
};

}  // namespace

// A few primes at a time: a transform's tables serve all digits, and the digits are used up while they are near.
void KeySwitcher::switch_key(const Poly& poly, const ring::Automorphism* permutation, const SwitchingKey& key,
                             const Addend& addend, ExtendedPair& sum, Into into) const {
  assert(static_cast<int>(poly.limbs()) == sum.level + 1 && key.request.shape.level >= sum.level &&
         key.request.shape.special_count == sum.special_count);
  const auto& converters = digit_converters(sum.level, key.request.shape);
  const Poly prepared = prepare_digits(poly, permutation, converters);
  const DigitRaiser raiser{parameters_, converters, poly, prepared, permutation, sum.level};
  const RunSwitcher make_run{raiser, key, addend, into == Into::kSum};
  for_each_run(poly.degree(), sum.c0.limbs(), [&](Run run) { make_run(run, run_of(sum, run)); });
}

Digits KeySwitcher::decompose(const Poly& poly, const KeyShape& shape) const {
  const int level = static_cast<int>(poly.limbs()) - 1;
  const auto& converters = digit_converters(level, shape);
  const Poly prepared = prepare_digits(poly, nullptr, converters);
  const DigitRaiser raiser{parameters_, converters, poly, prepared, nullptr, level};
  Digits digits{level, shape.digit_size, shape.special_count, {}};
  const std::size_t limbs = extended_limbs(level, shape.special_count);
  for (std::size_t j = 0; j < converters.size(); ++j) digits.polys.emplace_back(poly.degree(), limbs);
  for_each_run(poly.degree(), limbs, [&](Run run) {
    for (std::size_t j = 0; j < converters.size(); ++j) {
      const auto out = [&](std::size_t i) { return digits.polys[j].data(run.first + i); };
      const auto words = raiser.raise(j, run, out);
      for (std::size_t i = 0; i < run.count; ++i)
        if (words[i] != out(i)) std::copy_n(words[i], poly.degree(), out(i));
    }
  });
  return digits;
}

void KeySwitcher::multiply(const Digits& digits, const ring::Automorphism* permutation,
                           const SwitchingKey& key, const Addend& addend, const Piece& piece, u64* out0,
                           u64* out1) const {
  const std::size_t count = digits.polys.size();
  assert(key.request.shape.digit_size == digits.digit_size && key.request.shape.level >= digits.level);
  Pointers x;
  for (std::size_t j = 0; j < count; ++j) x[j] = digits.polys[j].data(piece.limb);
  const KeyRows rows(parameters_, key, count, key_limb_of(key, digits.level, piece.limb), piece.first);
  const ring::Modulus& q = parameters_.ring().modulus(parameters_.limb_index(digits.level, piece.limb));
  kernels().key_product(q,
                        {x.data(), rows.b, rows.a, count, permutation, out0, out1, false, piece.first,
                         addend_at(addend, q, piece.limb, permutation)},
                        piece.count);
}

void KeySwitcher::raise(const Addend& addend, const Piece& piece, u64* out0, u64* out1) const {
  const ring::BaseConverter& p = *addend.raise;
  if (piece.limb >= p.target_count()) {
    std::fill_n(out0, piece.count, 0);
    std::fill_n(out1, piece.count, 0);
    return;
  }
  const ring::Modulus& q = parameters_.ring().modulus(piece.limb);
  const ring::ShoupConstant factor = p.product(piece.limb);
  kernels().multiply_constant(q, factor, out0, addend.c0->data(piece.limb) + piece.first, piece.count);
  kernels().multiply_constant(q, factor, out1, addend.c1->data(piece.limb) + piece.first, piece.count);
}

void KeySwitcher::add(ExtendedPair& sum, const ExtendedPair& other) const {
  parallel_for(sum.c0.limbs(), [&](std::size_t i) {
    const ring::Modulus& q = parameters_.ring().modulus(parameters_.limb_index(sum.level, i));
    kernels().add(q, sum.c0.data(i), sum.c0.data(i), other.c0.data(i), parameters_.degree());
    kernels().add(q, sum.c1.data(i), sum.c1.data(i), other.c1.data(i), parameters_.degree());
  });
}

std::size_t KeySwitcher::limb_of_source(const ring::BaseConverter& converter, int level,
                                        std::size_t s) const {
  // The special limbs, then the last of the others where that goes too.
  const std::size_t source = converter.source(s), first_special = parameters_.special_index(0);
  return source < first_special ? source : source - first_special + static_cast<std::size_t>(level) + 1;
}

namespace {

// The rows of `prepared` that conversions of column c take.
Pointers rows_of(const ring::BaseConverter& converter, const Poly& prepared, std::size_t c) {
  Pointers y;
  const std::size_t rows = converter.rounded_count();
  for (std::size_t s = 0; s < rows; ++s) y[s] = prepared.data(c * rows + s);
  return y;
}

// Makes each column's last row of the others, where conversions take one.
void round_quotients(const ring::BaseConverter& converter, Poly& prepared) {
  const std::size_t rows = converter.rounded_count();
  if (converter.source_count() == 1) return;
  parallel_for(prepared.limbs() / rows, [&](std::size_t c) {
    converter.round_quotient(prepared.data(c * rows + rows - 1), rows_of(converter, prepared, c).data());
  });
}

// out = (dividend - conversion) / M at the targets of a run, where dividend(i) has limb i of them.
template <class Dividend>
void divide_run(const ring::BaseConverter& converter, Run run, const Pointers& y, Poly& out,
                const Dividend& dividend) {
  std::array<ring::BaseConverter::Division, kMaxRun> divisions;
  for (std::size_t i = 0; i < run.count; ++i) {
    u64* const limb = out.data(run.first + i);
    divisions[i] = {run.first + i, limb, dividend(i), limb};
  }
  converter.divide({divisions.data(), run.count}, y.data());
}

}  // namespace

void KeySwitcher::divide(const ring::BaseConverter& converter, int level, std::span<const Poly* const> in,
                         std::span<Poly> out) const {
  const std::size_t n = parameters_.degree();
  const std::size_t sources = converter.source_count(), rows = converter.rounded_count();
  Poly prepared(n, rows * in.size());
  parallel_for(sources * in.size(), [&](std::size_t i) {
    const std::size_t c = i / sources, s = i % sources;
    kernels().inverse_ntt(parameters_.ring().ntt(converter.source(s)), converter.scale(s), nullptr,
                          prepared.data(c * rows + s), in[c]->data(limb_of_source(converter, level, s)));
  });
  round_quotients(converter, prepared);
  for (Poly& poly : out) poly = Poly(n, converter.target_count());
  for_each_run(n, converter.target_count(), [&](Run run) {
    for (std::size_t c = 0; c < in.size(); ++c) {
      divide_run(converter, run, rows_of(converter, prepared, c), out[c],
                 [&](std::size_t i) { return in[c]->data(run.first + i); });
    }
  });
}

template <class MakeRun>
std::pair<Poly, Poly> KeySwitcher::divide_made(int level, int special_count, bool rescale,
                                               const MakeRun& make_run) const {
  const ring::BaseConverter& converter = division(level, special_count, rescale);
  if (converter.source_count() == 1) {  // there would be nothing for a second thread while it is made
    ExtendedPair pair(parameters_, level, special_count);
    for_each_run(parameters_.degree(), pair.c0.limbs(), [&](Run run) { make_run(run, run_of(pair, run)); });
    return mod_down(pair, rescale);
  }
  const std::size_t n = parameters_.degree();
  const std::size_t rows = converter.rounded_count();
  Poly prepared(n, 2 * rows);
  parallel_for(converter.source_count(), [&](std::size_t s) {
    Poly made(n, 2);
    make_run(Run{limb_of_source(converter, level, s), 1}, RunPair{{{made.data(0), made.data(1)}}});
    for (std::size_t c = 0; c < 2; ++c) {
      kernels().inverse_ntt(parameters_.ring().ntt(converter.source(s)), converter.scale(s), nullptr,
                            prepared.data(c * rows + s), made.data(c));
    }
  });
  round_quotients(converter, prepared);
  Poly out[] = {Poly(n, converter.target_count()), Poly(n, converter.target_count())};
  for_each_run(n, converter.target_count(), [&](Run run) {
    Poly made(n, 2 * run.count);
    RunPair pairs{};
    for (std::size_t i = 0; i < run.count; ++i) pairs[i] = {made.data(2 * i), made.data(2 * i + 1)};
    make_run(run, pairs);
    for (std::size_t c = 0; c < 2; ++c) {
      divide_run(converter, run, rows_of(converter, prepared, c), out[c],
                 [&](std::size_t i) { return pairs[i][c]; });
    }
  });
  return {std::move(out[0]), std::move(out[1])};
}

std::pair<Poly, Poly> KeySwitcher::switch_key_divided(const Poly& poly, const ring::Automorphism* permutation,
                                                      const SwitchingKey& key, const Addend& addend,
                                                      bool rescale) const {
  const int level = static_cast<int>(poly.limbs()) - 1;
  assert(key.request.shape.level >= level);
  const auto& converters = digit_converters(level, key.request.shape);
  const Poly prepared = prepare_digits(poly, permutation, converters);
  const DigitRaiser raiser{parameters_, converters, poly, prepared, permutation, level};
  return divide_made(level, key.request.shape.special_count, rescale,
                     RunSwitcher{raiser, key, addend, false});
}

std::pair<Poly, Poly> KeySwitcher::multiply_divided(const Digits& digits,
                                                    const ring::Automorphism* permutation,
                                                    const SwitchingKey& key, const Addend& addend) const {
  return divide_made(digits.level, digits.special_count, false, [&](Run run, const RunPair& out) {
    for (std::size_t i = 0; i < run.count; ++i) {
      multiply(digits, permutation, key, addend, {run.first + i, 0, parameters_.degree()}, out[i][0],
               out[i][1]);
    }
  });
}

std::pair<Poly, Poly> KeySwitcher::mod_down(const ExtendedPair& pair, bool rescale) const {
  const Poly* in[] = {&pair.c0, &pair.c1};
  Poly out[2];
  divide(division(pair.level, pair.special_count, rescale), pair.level, in, out);
  return {std::move(out[0]), std::move(out[1])};
}

Poly KeySwitcher::mod_down(const Poly& poly, int level) const {
  const Poly* in[] = {&poly};
  Poly out[1];
  const int special_count = static_cast<int>(poly.limbs()) - level - 1;
  divide(division(level, special_count, false), level, in, out);
  return std::move(out[0]);
}

Poly KeySwitcher::rescale(const Poly& poly) const {
  const Poly* in[] = {&poly};
  Poly out[1];
  const int level = static_cast<int>(poly.limbs()) - 1;
  divide(division(level, 0, true), level, in, out);
  return std::move(out[0]);
}

void KeySwitcher::rescale(std::span<const SplitPoly> polys) const {
  const std::size_t level = polys.front().rest->limbs();
  const ring::BaseConverter& converter = division(static_cast<int>(level), 0, true);
  for (const SplitPoly& poly : polys)
    kernels().inverse_ntt(parameters_.ring().ntt(level), converter.scale(0), nullptr, poly.last, poly.last);
  Poly scratch(parameters_.degree(), 1);
  for (std::size_t t = 0; t < level; ++t) {
    for (const SplitPoly& poly : polys) {
      const ring::BaseConverter::Division division{t, poly.rest->data(t), poly.rest->data(t),
                                                   scratch.data(0)};
      converter.divide({&division, 1}, &poly.last);
    }
  }
}

}  // namespace tacit::ckks
