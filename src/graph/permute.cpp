// SPDX-License-Identifier: Apache-2.0
#include "graph/permute.h"

#include <algorithm>

namespace tacit::graph {
namespace {

// result[source[i]] = data[i / repeat].
std::vector<float> scatter(const std::vector<float>& data, const Permute& permute, std::size_t repeat) {
  std::vector<float> result(permute.source.size());
  for (std::size_t i = 0; i < result.size(); ++i) result[permute.source[i]] = data[i / repeat];
  return result;
}

}  // namespace

bool keeps_order(const Permute& permute) {
  for (std::size_t i = 0; i < permute.source.size(); ++i) {
    if (permute.source[i] != i) return false;
  }
  return true;
}

Permute compose(const Permute& first, const Permute& second) {
  Permute result{second.shape, second.source};
  for (std::uint32_t& source : result.source) source = first.source[source];
  return result;
}

std::optional<Operation> before_permute(const Operation& operation, const Permute& permute) {
  if (std::holds_alternative<Activation>(operation) || std::holds_alternative<Square>(operation))
    return operation;
  if (const auto* affine = std::get_if<ChannelAffine>(&operation)) {
    const auto pixels = static_cast<std::size_t>(permute.shape.pixels());
    return ElementAffine{scatter(affine->scale, permute, pixels), scatter(affine->shift, permute, pixels)};
  }
  if (const auto* affine = std::get_if<ElementAffine>(&operation))
    return ElementAffine{scatter(affine->scale, permute, 1), scatter(affine->shift, permute, 1)};
  return std::nullopt;
}

Dense permute_columns(const Dense& dense, const Permute& permute) {
  Dense result = dense;
  const auto in = static_cast<std::size_t>(dense.in);
  for (std::size_t o = 0; o < dense.bias.size(); ++o) {
    for (std::size_t i = 0; i < in; ++i)
      result.weights[o * in + permute.source[i]] = dense.weights[o * in + i];
  }
  return result;
}

void permute_rows(Dense& dense, const Permute& permute) {
  const Dense before = dense;
  const auto in = static_cast<std::size_t>(dense.in);
  for (std::size_t o = 0; o < before.bias.size(); ++o) {
    const std::size_t from = permute.source[o];
    std::copy_n(before.weights.begin() + static_cast<std::ptrdiff_t>(from * in), in,
                dense.weights.begin() + static_cast<std::ptrdiff_t>(o * in));
    dense.bias[o] = before.bias[from];
  }
}

}  // namespace tacit::graph
