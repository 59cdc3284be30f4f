// SPDX-License-Identifier: Apache-2.0
#include "ckks/key_switcher.h"

#include <algorithm>
#include <cassert>

#include "base/parallel.h"
#include "ring/kernels/kernels.h"

namespace tacit::ckks {

using ring::kernels;
using ring::Poly;

namespace {

std::size_t extended_limbs(int level, int special_count) {
  return static_cast<std::size_t>(level) + 1 + static_cast<std::size_t>(special_count);
}

}  // namespace

std::size_t KeySwitcher::position(int level, std::size_t i) const {
  const auto limbs = static_cast<std::size_t>(level) + 1;
  return i < limbs ? i : parameters_.special_index(static_cast<int>(i - limbs));
}

const ring::Automorphism& KeySwitcher::automorphism(std::uint32_t element) const {
  std::lock_guard lock(mutex_);
  auto& entry = automorphisms_[element];
  if (!entry) entry = std::make_unique<const ring::Automorphism>(parameters_.log_degree(), element);
  return *entry;
}

const ring::BaseConverter& KeySwitcher::converter(const ConverterKey& key) const {
  std::lock_guard lock(mutex_);
  auto& entry = converters_[key];
  if (entry) return *entry;
  const auto [purpose, level, digit_size, special_count, index] = key;
  std::vector<std::size_t> sources, targets;
  if (purpose == Purpose::kDigit) {
    const int first = index * digit_size, last = std::min(first + digit_size, level + 1);
    for (std::size_t i = 0; i < extended_limbs(level, special_count); ++i) {
      const bool inside = static_cast<int>(i) >= first && static_cast<int>(i) < last;
      (inside ? sources : targets).push_back(position(level, i));
    }
  } else {
    const bool rescale = index == 1;
    for (int i = 0; i < special_count; ++i) sources.push_back(parameters_.special_index(i));
    if (rescale) sources.push_back(static_cast<std::size_t>(level));
    for (int i = 0; i < level + (rescale ? 0 : 1); ++i) targets.push_back(static_cast<std::size_t>(i));
  }
  entry =
      std::make_unique<const ring::BaseConverter>(parameters_.ring(), std::move(sources), std::move(targets));
  return *entry;
}

Digits KeySwitcher::decompose(const Poly& poly, const KeyShape& shape) const {
  const std::size_t n = parameters_.degree();
  const int level = static_cast<int>(poly.limbs()) - 1;
  Digits digits{level, shape.digit_size, shape.special_count, {}};
  const std::size_t limbs = extended_limbs(level, shape.special_count);
  const std::size_t count = KeyShape{level, shape.digit_size, shape.special_count}.digits();
  digits.polys.reserve(count);
  for (std::size_t j = 0; j < count; ++j) digits.polys.emplace_back(n, limbs);

  // y_i, where the digit's number is sum_i y_i D/q_i.
  Poly prepared(n, poly.limbs());
  parallel_for(poly.limbs(), [&](std::size_t i) {
    const auto j = static_cast<int>(i) / shape.digit_size;
    const ring::BaseConverter& convert =
        converter({Purpose::kDigit, level, shape.digit_size, shape.special_count, j});
    std::ranges::copy(poly.limb(i), prepared.data(i));
    kernels().inverse_ntt(parameters_.ring().ntt(i), prepared.data(i));
    convert.prepare(i - static_cast<std::size_t>(j * shape.digit_size), prepared.data(i), prepared.data(i),
                    n);
  });
  // Prime by prime, so that one NTT's table serves all digits.
  parallel_for(limbs, [&](std::size_t i) {
    const std::size_t prime = position(level, i);
    for (std::size_t j = 0; j < count; ++j) {
      const ring::BaseConverter& convert =
          converter({Purpose::kDigit, level, shape.digit_size, shape.special_count, static_cast<int>(j)});
      const std::size_t first = j * static_cast<std::size_t>(shape.digit_size);
      u64* out = digits.polys[j].data(i);
      if (i >= first && i < first + convert.source_count()) {
        std::ranges::copy(poly.limb(i), out);  // a digit's own primes keep what they had
        continue;
      }
      std::vector<const u64*> y;
      for (std::size_t s = 0; s < convert.source_count(); ++s) y.push_back(prepared.data(first + s));
      const std::size_t target = i < first ? i : i - convert.source_count();
      convert.convert(target, out, y.data(), n);
      kernels().forward_ntt(parameters_.ring().ntt(prime), out);
    }
  });
  return digits;
}

ExtendedPair KeySwitcher::zero_pair(int level, int special_count) const {
  const std::size_t limbs = extended_limbs(level, special_count);
  ExtendedPair pair{level, special_count, Poly(parameters_.degree(), limbs),
                    Poly(parameters_.degree(), limbs)};
  pair.c0.clear();
  pair.c1.clear();
  return pair;
}

void KeySwitcher::multiply(const Digits& digits, const SwitchingKey& key,
                           const ring::Automorphism* permutation, ExtendedPair& sum, bool accumulate) const {
  const KeyShape& shape = key.request.shape;
  assert(shape.digit_size == digits.digit_size && shape.special_count == digits.special_count);
  assert(shape.level >= digits.level && sum.level == digits.level &&
         sum.special_count == digits.special_count);
  const std::size_t limbs = extended_limbs(digits.level, digits.special_count);
  const std::size_t skipped =
      static_cast<std::size_t>(shape.level - digits.level);  // limbs the key has in between
  parallel_for(limbs, [&](std::size_t i) {
    const std::size_t key_limb = i <= static_cast<std::size_t>(digits.level) ? i : i + skipped;
    std::vector<const u64*> x, b, a;
    for (std::size_t j = 0; j < digits.polys.size(); ++j) {
      x.push_back(digits.polys[j].data(i));
      b.push_back(key.b[j].data(key_limb));
      a.push_back(key.a[j].data(key_limb));
    }
    kernels().inner_product(
        parameters_.ring().modulus(position(digits.level, i)),
        {x.data(), b.data(), a.data(), x.size(), permutation, sum.c0.data(i), sum.c1.data(i), accumulate},
        parameters_.degree());
  });
}

Poly KeySwitcher::mod_down_one(const Poly& poly, const ring::BaseConverter& convert, int level,
                               bool rescale) const {
  const std::size_t n = parameters_.degree();
  const std::size_t special = poly.limbs() - static_cast<std::size_t>(level) - 1;
  Poly prepared(n, convert.source_count());
  parallel_for(convert.source_count(), [&](std::size_t s) {
    // Sources are the special limbs, then the last of the others where that goes too.
    const std::size_t limb =
        s < special ? static_cast<std::size_t>(level) + 1 + s : static_cast<std::size_t>(level);
    std::ranges::copy(poly.limb(limb), prepared.data(s));
    kernels().inverse_ntt(parameters_.ring().ntt(convert.source(s)), prepared.data(s));
    convert.prepare(s, prepared.data(s), prepared.data(s), n);
  });
  std::vector<const u64*> y;
  for (std::size_t s = 0; s < convert.source_count(); ++s) y.push_back(prepared.data(s));
  Poly out(n, static_cast<std::size_t>(level) + (rescale ? 0 : 1));
  parallel_for(out.limbs(), [&](std::size_t i) {
    convert.convert_rounded(i, out.data(i), y.data(), n);
    kernels().forward_ntt(parameters_.ring().ntt(i), out.data(i));
    kernels().subtract_multiply(parameters_.ring().modulus(i), convert.inverse_product(i), out.data(i),
                                poly.data(i), out.data(i), n);
  });
  return out;
}

std::pair<Poly, Poly> KeySwitcher::mod_down(const ExtendedPair& pair, bool rescale) const {
  const ring::BaseConverter& convert =
      converter({Purpose::kModDown, pair.level, 0, pair.special_count, rescale ? 1 : 0});
  return {mod_down_one(pair.c0, convert, pair.level, rescale),
          mod_down_one(pair.c1, convert, pair.level, rescale)};
}

Poly KeySwitcher::rescale(const Poly& poly) const {
  const int level = static_cast<int>(poly.limbs()) - 1;
  return mod_down_one(poly, converter({Purpose::kModDown, level, 0, 0, 1}), level, true);
}

void KeySwitcher::add_raised(ExtendedPair& pair, const Poly& c0, const Poly* c1) const {
  const ring::BaseConverter& convert = converter({Purpose::kModDown, pair.level, 0, pair.special_count, 0});
  const std::size_t n = parameters_.degree();
  parallel_for(static_cast<std::size_t>(pair.level) + 1, [&](std::size_t i) {
    const ring::Modulus& q = parameters_.ring().modulus(i);
    AlignedVector<u64> raised(n);
    auto add = [&](Poly& sum, const Poly& c) {
      kernels().multiply_constant(q, convert.product(i), raised.data(), c.data(i), n);
      kernels().add(q, sum.data(i), sum.data(i), raised.data(), n);
    };
    add(pair.c0, c0);
    if (c1 != nullptr) add(pair.c1, *c1);
  });
}

void KeySwitcher::add(ExtendedPair& sum, const ExtendedPair& other) const {
  parallel_for(sum.c0.limbs(), [&](std::size_t i) {
    const ring::Modulus& q = parameters_.ring().modulus(position(sum.level, i));
    kernels().add(q, sum.c0.data(i), sum.c0.data(i), other.c0.data(i), parameters_.degree());
    kernels().add(q, sum.c1.data(i), sum.c1.data(i), other.c1.data(i), parameters_.degree());
  });
}

}  // namespace tacit::ckks
