// SPDX-License-Identifier: Apache-2.0
// The slots of m are its values at zeta^e for the n exponents e = 1 mod 4 or the conjugates of these. There X^n = i, so
// m(zeta^e) = c(zeta^e) with the complex polynomial c_k = m_k + i m_{k+n} of degree below n: a transform of half the
// size, by the tree that kernels/encoding_loops.h describes; the tree's top is the polynomial modulo X^n - zeta^n.
#include "ckks/embedding.h"

#include <cmath>
#include <numbers>
#include <string_view>
#include <vector>

#include "base/aligned.h"
#include "ring/kernels/kernels.h"

namespace tacit::ckks {

namespace {

constexpr const EncodingKernels* kAll[] = {&kPortableEncoding, &kAvx2Encoding, &kAvx512Encoding};

}  // namespace

const EncodingKernels& encoding_kernels() {
  static const EncodingKernels& chosen = []() -> const EncodingKernels& {
    for (const EncodingKernels* kernels : kAll) {
      if (std::string_view(kernels->name) == ring::kernels().name && kernels->available()) return *kernels;
    }
    return kPortableEncoding;
  }();
  return chosen;
}

std::span<const EncodingKernels* const> all_encoding_kernels() { return kAll; }

// The tables of all sizes: what belongs to size p starts at p, as if each size were a level of a heap.
struct Embedding::Tables {
  std::size_t points;
  std::vector<std::uint32_t> slot_of_leaf;
  AlignedVector<double> leaf_roots;
  // For nodes above the leaves' stages. A size's tree is the top of the tree of any larger size.
  std::vector<double> roots;

  EmbeddingTables of(std::size_t size) const {
    return {size, slot_of_leaf.data() + size, leaf_roots.data() + size, roots.data()};
  }
};

Embedding::Embedding(std::size_t points) {
  auto tables = std::make_shared<Tables>();
  const std::size_t n = points, order = 4 * n;
  tables->points = n;

  // Node i holds the polynomial modulo X^len - zeta^exponents[i]; its root is zeta^(exponents[i] / 2).
  std::vector<std::size_t> exponents(2 * n);
  std::vector<std::complex<double>> roots(n);
  exponents[1] = n;
  for (std::size_t node = 1; node < n; ++node) {
    const std::size_t half = exponents[node] / 2;
    exponents[2 * node] = half;
    exponents[2 * node + 1] = half + 2 * n;
    if (node % 2 == 1 && node > 1) {
      roots[node] = {-roots[node - 1].imag(), roots[node - 1].real()};  // i times its sibling's
    } else {
      // In extended precision, so that the doubles are the nearest ones.
      const long double angle =
          std::numbers::pi_v<long double> * static_cast<long double>(half) / static_cast<long double>(2 * n);
      roots[node] = {static_cast<double>(std::cos(angle)), static_cast<double>(std::sin(angle))};
    }
  }
  for (std::size_t node = 0; node < n / 8; ++node) {
    tables->roots.insert(tables->roots.end(), {roots[node].real(), roots[node].imag()});
  }

  std::vector<std::uint32_t> slot_of_exponent(order);
  for (std::size_t i = 0, exponent = 1; i < n; ++i, exponent = exponent * 3 % order) {
    slot_of_exponent[exponent % 4 == 1 ? exponent : order - exponent] = static_cast<std::uint32_t>(i);
  }
  tables->slot_of_leaf.resize(2 * n);
  tables->leaf_roots.resize(2 * n);
  for (std::size_t size = kMinPoints; size <= n; size *= 2) {
    for (std::size_t leaf = 0; leaf < size; ++leaf) {
      // The leaf is an inner node of the whole tree, below which all slots are the same modulo `size`.
      const std::uint32_t slot = slot_of_exponent[exponents[n + leaf * (n / size)]];
      tables->slot_of_leaf[size + leaf] = slot % static_cast<std::uint32_t>(size);
    }
    for (std::size_t group = 0; group < size / 8; ++group) {
      const std::size_t node = size / 8 + group;
      double* out = tables->leaf_roots.data() + size + 64 * (group / 8) + group % 8;
      for (std::size_t inner : {node, 2 * node, 4 * node, 4 * node + 2}) {
        out[0] = roots[inner].real();
        out[8] = roots[inner].imag();
        out += 16;
      }
    }
  }
  tables_ = std::move(tables);
}

std::size_t Embedding::points() const { return tables_->points; }

// A std::complex<double> is an array of its two parts ([complex.numbers.general]).
void Embedding::inverse(std::span<const std::complex<double>> slots, std::span<double> coefficients,
                        const EncodingKernels& kernels) const {
  kernels.inverse_embedding(tables_->of(slots.size()), reinterpret_cast<const double*>(slots.data()), 2,
                            coefficients.data());
}

void Embedding::inverse(std::span<const double> slots, std::span<double> coefficients,
                        const EncodingKernels& kernels) const {
  kernels.inverse_embedding(tables_->of(slots.size()), slots.data(), 1, coefficients.data());
}

void Embedding::forward(std::span<double> coefficients, std::span<std::complex<double>> slots,
                        const EncodingKernels& kernels) const {
  kernels.forward_embedding(tables_->of(slots.size()), coefficients.data(),
                            reinterpret_cast<double*>(slots.data()), 2);
}

void Embedding::forward(std::span<double> coefficients, std::span<double> slots,
                        const EncodingKernels& kernels) const {
  kernels.forward_embedding(tables_->of(slots.size()), coefficients.data(), slots.data(), 1);
}

}  // namespace tacit::ckks
