// SPDX-License-Identifier: Apache-2.0
#include "graph/fold.h"

#include <algorithm>

namespace tacit::graph {
namespace {

// The two kinds of affine map alike: element i of an activation is scaled and shifted by number i / repeat.
struct AffineView {
  const std::vector<float>* scale;
  const std::vector<float>* shift;
  std::size_t repeat;
  double scale_at(std::size_t i) const { return (*scale)[i / repeat]; }
  double shift_at(std::size_t i) const { return (*shift)[i / repeat]; }
};

AffineView view(const Operation& affine, const Shape& shape) {
  if (const auto* channel = std::get_if<ChannelAffine>(&affine)) {
    return {&channel->scale, &channel->shift, static_cast<std::size_t>(shape.pixels())};
  }
  const auto& element = *std::get_if<ElementAffine>(&affine);
  return {&element.scale, &element.shift, 1};
}

std::optional<Operation> if_finite(Operation operation) {
  if (!weights_finite(operation)) return std::nullopt;
  return operation;
}

// Rows of `weights`, one for each output, scaled; the bias scaled and shifted.
void scale_rows(std::vector<float>& weights, std::vector<float>& bias, const AffineView& map,
                std::size_t step) {
  std::size_t row = weights.size() / bias.size();
  for (std::size_t o = 0; o < bias.size(); ++o) {
    double scale = map.scale_at(o * step);
    for (std::size_t i = 0; i < row; ++i)
      weights[o * row + i] = static_cast<float>(scale * weights[o * row + i]);
    bias[o] = static_cast<float>(scale * bias[o] + map.shift_at(o * step));
  }
}

// second(first(x)) for affine maps; per channel where both are.
std::optional<Operation> compose(const Operation& first, const Operation& second, const Shape& shape) {
  AffineView inner = view(first, shape), outer = view(second, shape);
  bool per_channel =
      std::holds_alternative<ChannelAffine>(first) && std::holds_alternative<ChannelAffine>(second);
  auto count = static_cast<std::size_t>(per_channel ? shape.channels : shape.size());
  std::size_t step = per_channel ? static_cast<std::size_t>(shape.pixels()) : 1;
  std::vector<float> scale(count), shift(count);
  for (std::size_t i = 0; i < count; ++i) {
    double factor = outer.scale_at(i * step);
    scale[i] = static_cast<float>(factor * inner.scale_at(i * step));
    shift[i] = static_cast<float>(factor * inner.shift_at(i * step) + outer.shift_at(i * step));
  }
  if (per_channel) return if_finite(ChannelAffine{std::move(scale), std::move(shift)});
  return if_finite(ElementAffine{std::move(scale), std::move(shift)});
}

Operation conv_after_scale(Conv conv, const ChannelAffine& affine) {
  auto per_group = static_cast<std::size_t>(conv.in_channels / conv.groups);
  auto outputs_per_group = static_cast<std::size_t>(conv.out_channels / conv.groups);
  auto taps = static_cast<std::size_t>(conv.kernel.height * conv.kernel.width);
  for (std::size_t o = 0; o < conv.bias.size(); ++o) {
    double bias = conv.bias[o];
    for (std::size_t i = 0; i < per_group; ++i) {
      std::size_t channel = o / outputs_per_group * per_group + i;
      float* weights = &conv.weights[(o * per_group + i) * taps];
      for (std::size_t t = 0; t < taps; ++t) {
        bias += double{weights[t]} * affine.shift[channel];
        weights[t] = static_cast<float>(double{weights[t]} * affine.scale[channel]);
      }
    }
    conv.bias[o] = static_cast<float>(bias);
  }
  return conv;
}

Operation dense_after(Dense dense, const AffineView& map) {
  auto in = static_cast<std::size_t>(dense.in);
  for (std::size_t o = 0; o < dense.bias.size(); ++o) {
    double bias = dense.bias[o];
    float* row = &dense.weights[o * in];
    for (std::size_t i = 0; i < in; ++i) {
      bias += row[i] * map.shift_at(i);
      row[i] = static_cast<float>(row[i] * map.scale_at(i));
    }
    dense.bias[o] = static_cast<float>(bias);
  }
  return dense;
}

bool all_equal(const std::vector<float>& data, float value) {
  return std::all_of(data.begin(), data.end(), [&](float x) { return x == value; });
}

}  // namespace

bool is_affine(const Operation& operation) {
  return std::holds_alternative<ChannelAffine>(operation) || std::holds_alternative<ElementAffine>(operation);
}

std::optional<UniformAffine> uniform(const Operation& affine) {
  AffineView map = view(affine, {});
  const UniformAffine first{map.scale->front(), map.shift->front()};
  if (!all_equal(*map.scale, first.scale) || !all_equal(*map.shift, first.shift)) return std::nullopt;
  return first;
}

bool has_no_shift(const Operation& affine) { return all_equal(*view(affine, {}).shift, 0); }
bool is_identity(const Operation& affine) {
  return has_no_shift(affine) && all_equal(*view(affine, {}).scale, 1);
}

std::optional<Operation> fold_after(const Operation& operation, const Operation& affine,
                                    const Shape& output) {
  if (is_affine(operation)) return compose(operation, affine, output);
  if (const auto* conv = std::get_if<Conv>(&operation)) {
    if (!std::holds_alternative<ChannelAffine>(affine)) return std::nullopt;
    Conv folded = *conv;
    scale_rows(folded.weights, folded.bias, view(affine, output), static_cast<std::size_t>(output.pixels()));
    return if_finite(std::move(folded));
  }
  if (const auto* dense = std::get_if<Dense>(&operation)) {
    Dense folded = *dense;
    scale_rows(folded.weights, folded.bias, view(affine, output), 1);
    return if_finite(std::move(folded));
  }
  return std::nullopt;
}

std::optional<Operation> fold_before(const Operation& operation, const Operation& affine,
                                     const Shape& input) {
  if (const auto* conv = std::get_if<Conv>(&operation)) {
    const auto* channel = std::get_if<ChannelAffine>(&affine);
    // Zeros that the Conv adds outside of the image would have to be shifted too.
    if (channel == nullptr || (!conv->pads.zero() && !has_no_shift(affine))) return std::nullopt;
    return if_finite(conv_after_scale(*conv, *channel));
  }
  if (const auto* dense = std::get_if<Dense>(&operation))
    return if_finite(dense_after(*dense, view(affine, input)));
  return std::nullopt;
}

std::optional<Operation> fold_dense(const Dense& first, const Dense& second) {
  // Beyond this folding would take minutes, for a network that nobody trains.
  constexpr double kMaxProducts = 4e9;
  double both = static_cast<double>(first.weights.size()) + static_cast<double>(second.weights.size());
  double merged = static_cast<double>(second.out) * static_cast<double>(first.in);
  if (merged > both || merged * static_cast<double>(first.out) > kMaxProducts) return std::nullopt;
  auto in = static_cast<std::size_t>(first.in), middle = static_cast<std::size_t>(first.out);
  Dense dense;
  dense.in = first.in;
  dense.out = second.out;
  dense.weights.resize(static_cast<std::size_t>(second.out) * in);
  std::vector<double> row(in);
  for (std::size_t o = 0; o < static_cast<std::size_t>(second.out); ++o) {
    std::fill(row.begin(), row.end(), 0.0);
    double bias = second.bias[o];
    for (std::size_t m = 0; m < middle; ++m) {
      double weight = second.weights[o * middle + m];
      bias += weight * first.bias[m];
      for (std::size_t i = 0; i < in; ++i) row[i] += weight * first.weights[m * in + i];
    }
    std::transform(row.begin(), row.end(), &dense.weights[o * in],
                   [](double x) { return static_cast<float>(x); });
    dense.bias.push_back(static_cast<float>(bias));
  }
  return if_finite(std::move(dense));
}

std::optional<Operation> narrow(const ElementAffine& affine, const Shape& shape) {
  auto pixels = static_cast<std::size_t>(shape.pixels());
  ChannelAffine channel;
  for (std::size_t i = 0; i < affine.scale.size(); ++i) {
    if (i % pixels == 0) {
      channel.scale.push_back(affine.scale[i]);
      channel.shift.push_back(affine.shift[i]);
    } else if (affine.scale[i] != channel.scale.back() || affine.shift[i] != channel.shift.back()) {
      return std::nullopt;
    }
  }
  return channel;
}

}  // namespace tacit::graph
