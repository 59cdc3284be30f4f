// SPDX-License-Identifier: Apache-2.0
#include "graph/execute.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>

#include "base/parallel.h"
#include "graph/convolve.h"
#include "graph/taps.h"

namespace tacit::graph {
namespace {

// What every operation computes, on inputs that have the shapes the graph says.
struct Run {
  const std::vector<double>& prepared;  // a Conv's weights
  const std::vector<const Tensor*>& inputs;
  const Tensor& in;  // the first one
  Tensor& out;       // shape set, data sized

  void operator()(const Conv& conv) const {
    convolve(conv, prepared, in.shape, in.data.data(), out.shape, out.data.data());
  }

  void operator()(const AveragePool& pool) const {
    float* to = out.data.data();
    for (std::int64_t c = 0; c < out.shape.channels; ++c) {
      const float* plane = in.data.data() + c * in.shape.pixels();
      for (std::int64_t y = 0; y < out.shape.height; ++y) {
        for (std::int64_t x = 0; x < out.shape.width; ++x) *to++ = mean(pool, plane, y, x);
      }
    }
  }

  void operator()(const Dense& dense) const {
    auto count = static_cast<std::size_t>(dense.in);
    for (std::size_t o = 0; o < dense.bias.size(); ++o) {
      out.data[o] = static_cast<float>(dense.bias[o] + dot(&dense.weights[o * count], in.data.data(), count));
    }
  }

  void operator()(const ChannelAffine& affine) const {
    std::size_t i = 0;
    for (std::size_t c = 0; c < affine.scale.size(); ++c) {
      for (std::int64_t p = 0; p < in.shape.pixels(); ++p, ++i) {
        out.data[i] = static_cast<float>(double{affine.scale[c]} * in.data[i] + affine.shift[c]);
      }
    }
  }

  void operator()(const ElementAffine& affine) const {
    for (std::size_t i = 0; i < out.data.size(); ++i) {
      out.data[i] = static_cast<float>(double{affine.scale[i]} * in.data[i] + affine.shift[i]);
    }
  }

  void operator()(const Square&) const {
    for (std::size_t i = 0; i < out.data.size(); ++i) out.data[i] = in.data[i] * in.data[i];
  }
  void operator()(const Activation& activation) const {
    for (std::size_t i = 0; i < out.data.size(); ++i) {
      out.data[i] = static_cast<float>(evaluate(activation, in.data[i]));
    }
  }
  void operator()(const Add&) const {
    for (std::size_t i = 0; i < out.data.size(); ++i) out.data[i] = in.data[i] + inputs[1]->data[i];
  }
  void operator()(const Multiply&) const {
    for (std::size_t i = 0; i < out.data.size(); ++i) out.data[i] = in.data[i] * inputs[1]->data[i];
  }
  void operator()(const Reshape&) const { out.data = in.data; }
  void operator()(const Permute& permute) const {
    for (std::size_t i = 0; i < out.data.size(); ++i) out.data[i] = in.data[permute.source[i]];
  }
  void operator()(const Concat&) const {
    auto to = out.data.begin();
    for (const Tensor* input : inputs) to = std::copy(input->data.begin(), input->data.end(), to);
  }

  void operator()(const MaxPool& pool) const {
    float* to = out.data.data();
    for (std::int64_t c = 0; c < out.shape.channels; ++c) {
      const float* plane = in.data.data() + c * in.shape.pixels();
      for (std::int64_t y = 0; y < out.shape.height; ++y) {
        for (std::int64_t x = 0; x < out.shape.width; ++x) *to++ = largest(pool, plane, y, x);
      }
    }
  }

  void operator()(const Pad& pad) const {
    std::fill(out.data.begin(), out.data.end(), 0.0f);
    for (std::int64_t c = 0; c < in.shape.channels; ++c) {
      for (std::int64_t y = 0; y < in.shape.height; ++y) {
        const float* row = in.data.data() + c * in.shape.pixels() + y * in.shape.width;
        std::int64_t to = c * out.shape.pixels() + (y + pad.pads.top) * out.shape.width + pad.pads.left;
        std::copy(row, row + in.shape.width, out.data.data() + to);
      }
    }
  }

 private:
  float mean(const AveragePool& pool, const float* plane, std::int64_t y, std::int64_t x) const {
    std::int64_t top = y * pool.stride.height - pool.pads.top, left = x * pool.stride.width - pool.pads.left;
    std::int64_t first_row = std::max<std::int64_t>(top, 0), first_column = std::max<std::int64_t>(left, 0);
    std::int64_t last_row = std::min(top + pool.kernel.height, in.shape.height);
    std::int64_t last_column = std::min(left + pool.kernel.width, in.shape.width);
    double sum = 0;
    for (std::int64_t r = first_row; r < last_row; ++r) {
      for (std::int64_t s = first_column; s < last_column; ++s) sum += plane[r * in.shape.width + s];
    }
    std::int64_t count = pool.count_include_pad ? pool.kernel.height * pool.kernel.width
                                                : (last_row - first_row) * (last_column - first_column);
    return static_cast<float>(sum / static_cast<double>(count));
  }

  float largest(const MaxPool& pool, const float* plane, std::int64_t y, std::int64_t x) const {
    std::int64_t top = y * pool.stride.height - pool.pads.top, left = x * pool.stride.width - pool.pads.left;
    Taps rows = taps_inside(top, pool.dilation.height, pool.kernel.height, in.shape.height);
    Taps columns = taps_inside(left, pool.dilation.width, pool.kernel.width, in.shape.width);
    float result = -std::numeric_limits<float>::infinity();
    for (std::int64_t r = rows.begin; r < rows.end; ++r) {
      const float* row = plane + (top + r * pool.dilation.height) * in.shape.width + left;
      for (std::int64_t s = columns.begin; s < columns.end; ++s)
        result = std::max(result, row[s * pool.dilation.width]);
    }
    return result;
  }

  // In eight sums side by side, which the compiler can keep in vector registers.
  static double dot(const float* a, const float* b, std::size_t count) {
    double sums[8] = {};
    std::size_t i = 0;
    for (; i + 8 <= count; i += 8) {
      for (std::size_t k = 0; k < 8; ++k) sums[k] += double{a[i + k]} * b[i + k];
    }
    double sum = 0;
    for (; i < count; ++i) sum += double{a[i]} * b[i];
    for (double part : sums) sum += part;
    return sum;
  }
};

Error no_memory() {
  return Error{ErrorCode::kOutOfMemory, "there is not enough memory to execute the network"};
}

}  // namespace

Executor::Executor(const Graph& graph) : graph_(&graph), last_use_(graph.values.size(), 0) {
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    for (ValueId input : graph.nodes[i].inputs) last_use_[input] = i;
    const auto* conv = std::get_if<Conv>(&graph.nodes[i].operation);
    weights_.push_back(conv != nullptr ? prepare_weights(*conv) : std::vector<double>{});
  }
  last_use_[graph.output] = graph.nodes.size();
}

Result<Executor> Executor::create(const Graph& graph) {
  TACIT_CHECK(validate(graph));
  try {
    return Executor(graph);
  } catch (const std::bad_alloc&) { return no_memory(); }
}

Status Executor::check_input(const Tensor& input) const {
  const Shape& wanted = graph_->input_shape();
  if (input.shape == wanted && static_cast<std::int64_t>(input.data.size()) == wanted.size()) return {};
  return Error{ErrorCode::kTensorShape,
               "the input is " + to_string(input.shape) + " with " + std::to_string(input.data.size()) +
                   " elements, but the network takes " + to_string(wanted) + " (channels, height, width)"};
}

Tensor Executor::run_node(std::size_t index, const std::vector<Tensor>& values) const {
  const Node& node = graph_->nodes[index];
  const Shape& shape = graph_->shape_of(node.output);
  Tensor out{shape, std::vector<float>(static_cast<std::size_t>(shape.size()))};
  std::vector<const Tensor*> inputs;
  for (ValueId input : node.inputs) inputs.push_back(&values[input]);
  std::visit(Run{weights_[index], inputs, *inputs.front(), out}, node.operation);
  return out;
}

Result<Tensor> Executor::run(const Tensor& input) const {
  TACIT_CHECK(check_input(input));
  try {
    std::vector<Tensor> values(graph_->values.size());
    values[Graph::kInput] = input;
    for (std::size_t i = 0; i < graph_->nodes.size(); ++i) {
      const Node& node = graph_->nodes[i];
      values[node.output] = run_node(i, values);
      for (ValueId value : node.inputs) {
        if (last_use_[value] == i) values[value] = {};
      }
    }
    return std::move(values[graph_->output]);
  } catch (const std::bad_alloc&) { return no_memory(); }
}

Result<std::vector<Tensor>> Executor::run_all(const Tensor& input) const {
  TACIT_CHECK(check_input(input));
  try {
    std::vector<Tensor> values(graph_->values.size());
    values[Graph::kInput] = input;
    for (std::size_t i = 0; i < graph_->nodes.size(); ++i)
      values[graph_->nodes[i].output] = run_node(i, values);
    return values;
  } catch (const std::bad_alloc&) { return no_memory(); }
}

Result<Tensor> execute(const Graph& graph, const Tensor& input) {
  TACIT_TRY(Executor executor, Executor::create(graph));
  return executor.run(input);
}

Result<std::vector<Tensor>> execute_all(const Graph& graph, const Tensor& input) {
  TACIT_TRY(Executor executor, Executor::create(graph));
  return executor.run_all(input);
}

Result<std::vector<Tensor>> execute_batch(const Graph& graph, std::span<const Tensor> inputs) {
  TACIT_TRY(Executor executor, Executor::create(graph));
  std::vector<Result<Tensor>> results(inputs.size(), Result<Tensor>(Tensor{}));
  parallel_for(inputs.size(), [&](std::size_t i) { results[i] = executor.run(inputs[i]); });
  std::vector<Tensor> outputs;
  outputs.reserve(inputs.size());
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (!results[i].ok()) return std::move(results[i]).error().within("image " + std::to_string(i));
    outputs.push_back(std::move(results[i]).value());
  }
  return outputs;
}

Tensor apply(OutputFunction function, Tensor tensor) {
  if (function == OutputFunction::kIdentity || tensor.data.empty()) return tensor;
  auto top = std::max_element(tensor.data.begin(), tensor.data.end());
  if (function == OutputFunction::kArgMax)
    return {{1, 1, 1}, {static_cast<float>(top - tensor.data.begin())}};
  double largest = *top;
  double sum = 0;
  for (float x : tensor.data) sum += std::exp(x - largest);
  for (float& x : tensor.data) {
    double logarithm = x - largest - std::log(sum);
    x = static_cast<float>(function == OutputFunction::kSoftmax ? std::exp(logarithm) : logarithm);
  }
  return tensor;
}

}  // namespace tacit::graph
