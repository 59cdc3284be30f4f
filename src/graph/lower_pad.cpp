// SPDX-License-Identifier: Apache-2.0
// Pad: rows, columns and channels of zeros around an image.
#include <algorithm>
#include <optional>

#include "graph/lowering.h"
#include "graph/text.h"

namespace tacit::graph::lower {
namespace {

// Which axis is taken for the channels.
struct Choice {
  Dims permutation;     // that brings it right after the batch
  bool padded = false;  // whether it is padded
};

// An axis that is not padded, so that the others are rows and columns; if possible one for which no element
// moves. One axis padded alone is the channels' where for that no element moves.
std::optional<Choice> choose_channels(const ActivationOperand& view, const Dims& pads) {
  const std::size_t rank = view.dims.size();
  const auto is_padded = [&](std::size_t axis) { return pads[axis] != 0 || pads[rank + axis] != 0; };
  if ((rank != 3 && rank != 4) || is_padded(0)) return std::nullopt;
  int padded_axes = 0;
  for (std::size_t axis = 1; axis < rank; ++axis) padded_axes += is_padded(axis) ? 1 : 0;
  std::optional<Choice> best;
  int best_score = -1;
  for (std::size_t axis = 1; axis < rank; ++axis) {
    Choice choice{channels_first(view, static_cast<std::int64_t>(axis)), is_padded(axis)};
    const bool stays = transposed(view, choice.permutation).order.empty();
    const int score = !choice.padded && stays                      ? 3
                      : choice.padded && stays && padded_axes == 1 ? 2
                      : !choice.padded                             ? 1
                                                                   : 0;
    if (score <= best_score) continue;
    best_score = score;
    best = std::move(choice);
  }
  return best;
}

// A 1x1 convolution that has `channels` channels with `before` and `after` channels of zeros around them.
Result<Conv> channel_padding(const Lowering& node, std::int64_t channels, std::int64_t before,
                             std::int64_t after) {
  Conv conv;
  conv.in_channels = channels;
  conv.out_channels = channels;
  if (std::max(before, after) > kMaxElements)
    return node.error(ErrorCode::kOnnxShape, "its padding is larger than any image");
  conv.out_channels += before + after;
  std::int64_t weights = 0;
  if (__builtin_mul_overflow(conv.out_channels, channels, &weights)) weights = kMaxConstantElements + 1;
  TACIT_CHECK(node.charge(weights));
  conv.weights.assign(static_cast<std::size_t>(weights), 0.0f);
  for (std::int64_t c = 0; c < channels; ++c)
    conv.weights[static_cast<std::size_t>((before + c) * channels + c)] = 1;
  conv.bias.assign(static_cast<std::size_t>(conv.out_channels), 0.0f);
  return conv;
}

Status pad_image(const Lowering& node, const ActivationOperand& view, const Dims& pads) {
  const std::size_t rank = view.dims.size();
  const std::optional<Choice> choice = choose_channels(view, pads);
  if (!choice) {
    return node.unsupported(
        "only the rows, columns and channels of an image can be padded, not the batch of " +
        dims_to_string(view.dims) + "; export a network for one image");
  }
  const ActivationOperand turned = transposed(view, choice->permutation);
  TACIT_TRY(const ActivationOperand image, choice->padded ? node.in_order(turned) : node.as_image(turned));
  const auto before = [&](std::size_t i) { return pads[static_cast<std::size_t>(choice->permutation[i])]; };
  const auto after = [&](std::size_t i) {
    return pads[rank + static_cast<std::size_t>(choice->permutation[i])];
  };
  ValueId value = image.value;
  const Pads sides =
      rank == 3 ? Pads{0, before(2), 0, after(2)} : Pads{before(2), before(3), after(2), after(3)};
  if (!sides.zero()) { TACIT_TRY(value, node.append(Pad{sides}, {value})); }
  if (choice->padded) {
    TACIT_TRY(Conv conv, channel_padding(node, node.shape_of(image).channels, before(1), after(1)));
    TACIT_TRY(value, node.append(std::move(conv), {value}));
  }
  return node.bind_transposed(node.image_operand(value, rank - 2), inverse(choice->permutation));
}

}  // namespace

Status pad(const Lowering& node) {
  TACIT_TRY(const ActivationOperand* view, node.view(0));
  const std::size_t rank = view->dims.size();
  if (node.text("mode", "constant") != "constant") {
    return node.error(ErrorCode::kOnnxUnsupportedAttribute,
                      "its mode is " + in_quotes(node.text("mode", "")) + "; retrain with padding by zeros");
  }
  double value = node.number("value", 0);
  Dims pads = node.integers("pads");
  if (node.opset() >= 11) {
    TACIT_TRY(pads, node.integer_values(1, "pads"));
    if (node.has(2)) {
      TACIT_TRY(const Constant* constant, node.floats(2, "constant_value"));
      if (constant->size() != 1)
        return node.error(ErrorCode::kOnnxMalformed, "its constant_value is not one number");
      value = constant->floats()[0];
    }
  }
  if (pads.size() != 2 * rank) {
    return node.error(ErrorCode::kOnnxShape, "its pads are " + std::to_string(pads.size()) +
                                                 " numbers where its input " + dims_to_string(view->dims) +
                                                 " needs " + std::to_string(2 * rank));
  }
  if (*std::min_element(pads.begin(), pads.end()) < 0) {
    return node.unsupported(
        "negative pads, which crop the image, are not supported; use a convolution that does not "
        "pad");
  }
  if (*std::max_element(pads.begin(), pads.end()) == 0) return node.bind(*view);
  if (value != 0)
    return node.unsupported("it pads with a number other than zero; retrain with padding by zeros");
  return pad_image(node, *view, pads);
}

}  // namespace tacit::graph::lower
