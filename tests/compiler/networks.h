// SPDX-License-Identifier: Apache-2.0
// Small networks, images for them and comparisons, shared by the compiler's tests.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "compiler/compile.h"
#include "graph/execute.h"
#include "graph/graph.h"
#include "runtime/clear.h"
#include "runtime/noise.h"
#include "support/seed.h"

namespace tacit::compiler::test {

using tacit::test::kSeed;

// Builds a graph node by node; every node goes on from the last one unless told otherwise.
class Builder {
 public:
  explicit Builder(const graph::Shape& input, std::uint32_t seed = kSeed)
      : graph_(graph::make_graph(input)), generator_(seed) {}

  graph::ValueId last() const { return graph_.output; }
  const graph::Shape& shape() const { return graph_.output_shape(); }
  std::mt19937& generator() { return generator_; }

  graph::ValueId add(graph::Operation operation, const std::string& name,
                     std::vector<graph::ValueId> inputs) {
    auto value = graph::append(graph_, std::move(operation), name, std::move(inputs));
    EXPECT_TRUE(value.ok()) << (value.ok() ? "" : value.error().to_line());
    return value.ok() ? *value : 0;
  }
  graph::ValueId then(graph::Operation operation, const std::string& name) {
    return add(std::move(operation), name, {last()});
  }

  // Random weights with a variance that keeps the values' size.
  graph::Conv conv_of(const graph::Shape& in, std::int64_t channels, std::int64_t kernel,
                      std::int64_t stride = 1, std::int64_t pad = 0, std::int64_t groups = 1) {
    graph::Conv conv;
    conv.in_channels = in.channels;
    conv.out_channels = channels;
    conv.groups = groups;
    conv.kernel = {kernel, kernel};
    conv.stride = {stride, stride};
    conv.pads = {pad, pad, pad, pad};
    const std::int64_t fan_in = in.channels / groups * kernel * kernel;
    conv.weights =
        normal(static_cast<std::size_t>(channels * fan_in), 1 / std::sqrt(static_cast<double>(fan_in)));
    conv.bias = normal(static_cast<std::size_t>(channels), 0.1);
    return conv;
  }
  graph::ValueId conv(const std::string& name, std::int64_t channels, std::int64_t kernel,
                      std::int64_t stride = 1, std::int64_t pad = 0, std::int64_t groups = 1) {
    return then(conv_of(shape(), channels, kernel, stride, pad, groups), name);
  }
  graph::ValueId pool(const std::string& name, std::int64_t kernel, std::int64_t stride, std::int64_t pad = 0,
                      bool count_include_pad = false) {
    graph::AveragePool pool;
    pool.kernel = {kernel, kernel};
    pool.stride = {stride, stride};
    pool.pads = {pad, pad, pad, pad};
    pool.count_include_pad = count_include_pad;
    return then(pool, name);
  }
  graph::ValueId flatten(const std::string& name = "flatten") {
    return then(graph::Reshape{{shape().size(), 1, 1}}, name);
  }
  graph::ValueId dense(const std::string& name, std::int64_t outputs) {
    graph::Dense dense;
    dense.in = shape().size();
    dense.out = outputs;
    dense.weights =
        normal(static_cast<std::size_t>(dense.in * outputs), 1 / std::sqrt(static_cast<double>(dense.in)));
    dense.bias = normal(static_cast<std::size_t>(outputs), 0.1);
    return then(std::move(dense), name);
  }
  graph::ValueId square(const std::string& name) { return then(graph::Square{}, name); }
  graph::ValueId activation(const std::string& name, ActivationKind kind, float alpha = 0) {
    return then(Activation{kind, alpha}, name);
  }

  std::vector<float> normal(std::size_t count, double deviation) {
    std::normal_distribution<double> distribution(0, deviation);
    std::vector<float> result(count);
    for (float& x : result) x = static_cast<float>(distribution(generator_));
    return result;
  }

  graph::Graph take() { return std::move(graph_); }

 private:
  graph::Graph graph_;
  std::mt19937 generator_;
};

inline std::vector<graph::Tensor> random_images(const graph::Shape& shape, std::size_t count,
                                                std::uint32_t seed = kSeed + 1) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution(0, 1);
  std::vector<graph::Tensor> images(count);
  for (graph::Tensor& image : images) {
    image.shape = shape;
    image.data.resize(static_cast<std::size_t>(shape.size()));
    for (float& x : image.data) x = distribution(generator);
  }
  return images;
}

inline double largest(const std::vector<float>& values) {
  double result = 0;
  for (float x : values) result = std::max(result, std::abs(static_cast<double>(x)));
  return result;
}

// The largest difference between the plan in the clear and what `expected_of` gives for an image, beside the largest output.
template <class ExpectedOf>
double difference_from(const plan::Package& package, const std::vector<graph::Tensor>& images,
                       const ExpectedOf& expected_of) {
  runtime::ClearArithmetic clear(package.plan);
  double difference = 0, size = 0;
  for (const graph::Tensor& image : images) {
    const auto expected = expected_of(image);
    const auto actual = runtime::simulate(package.client, clear, image.data);
    if (!actual.ok() || expected.size() != actual->size()) {
      ADD_FAILURE() << "the plan cannot be run on an image";
      return 1;
    }
    for (std::size_t i = 0; i < actual->size(); ++i) {
      size = std::max(size, std::abs(static_cast<double>(expected[i])));
      difference = std::max(difference, static_cast<double>(std::abs((*actual)[i] - expected[i])));
    }
  }
  return difference / size;
}

// The same from the graph as it stands.
inline double clear_difference(const plan::Package& package, const graph::Graph& graph,
                               const std::vector<graph::Tensor>& images) {
  return difference_from(package, images, [&](const graph::Tensor& image) {
    const auto expected = graph::execute(graph, image);
    return expected.ok() ? expected->data : std::vector<float>();
  });
}

// The largest difference that noise makes, beside the largest output.
inline double noise_difference(const plan::Package& package, const std::vector<graph::Tensor>& images,
                               std::uint64_t seed = kSeed) {
  runtime::ClearArithmetic clear(package.plan);
  auto noisy = runtime::NoiseArithmetic::create(clear, seed);
  if (!noisy.ok()) {
    ADD_FAILURE() << noisy.error().to_line();
    return 1;
  }
  double difference = 0, size = 0;
  for (const graph::Tensor& image : images) {
    const auto exact = runtime::simulate(package.client, clear, image.data);
    const auto actual = runtime::simulate(package.client, *noisy, image.data);
    if (!exact.ok() || !actual.ok()) {
      ADD_FAILURE() << "the plan cannot be run on an image";
      return 1;
    }
    size = std::max(size, largest(*exact));
    for (std::size_t i = 0; i < actual->size(); ++i)
      difference = std::max(difference, static_cast<double>(std::abs((*actual)[i] - (*exact)[i])));
  }
  return difference / size;
}

inline int count_kind(const Report& report, const std::string& kind) {
  int count = 0;
  for (const LayerReport& layer : report.layers) count += layer.kind == kind ? 1 : 0;
  return count;
}

}  // namespace tacit::compiler::test
