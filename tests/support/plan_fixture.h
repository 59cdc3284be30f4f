// SPDX-License-Identifier: Apache-2.0
// Small plans for tests, built layer by layer with random weights.
#pragma once

#include <gtest/gtest.h>

#include <random>

#include "ckks/parameters.h"
#include "plan/key_plan.h"
#include "plan/package.h"

namespace tacit::test {

// q_0 of base_bits, `levels` primes of scale_bits, one special prime of 49 bits.
inline ckks::ParametersLiteral make_literal(int log_degree, int base_bits, int scale_bits,
                                            std::size_t levels) {
  ckks::ParametersLiteral literal;
  literal.log_degree = log_degree;
  literal.primes = ring::ntt_primes(log_degree, base_bits, 1, true);
  for (ring::u64 p : ring::ntt_primes(log_degree, scale_bits, levels, true)) literal.primes.push_back(p);
  literal.special_primes = ring::ntt_primes(log_degree, 49, 1, true);
  return literal;
}

inline plan::Layout grid_layout(int channels, int height, int width, int gap, int grid) {
  return {{channels, height, width}, gap, grid, grid};
}
inline plan::Layout vector_layout(int elements) { return {{elements, 1, 1}, 1, 1, 1}; }

// A valid plan with the keys that it needs.
inline plan::Plan with_keys(plan::Plan plan, const plan::KeyPolicy& policy) {
  auto parameters = ckks::Parameters::create(plan.parameters);
  EXPECT_TRUE(parameters.ok()) << parameters.error().to_line();
  plan.keys = key_requests(*parameters, plan, policy);
  const Status status = plan.validate();
  EXPECT_TRUE(status.ok()) << status.error().to_line();
  return plan;
}

// Every value is encrypted at the scale of the prime of its level, except where a square or a caller decides.
class PlanBuilder {
 public:
  PlanBuilder(ckks::ParametersLiteral literal, const plan::Layout& input, std::size_t period,
              std::uint64_t seed)
      : random(seed) {
    plan.parameters = std::move(literal);
    plan.slots = std::size_t{1} << (plan.parameters.log_degree - 1);
    const int top = static_cast<int>(plan.parameters.primes.size()) - 1;
    plan.input = add_value("input", input, period, top, prime(top));
  }

  double prime(int level) const {
    return static_cast<double>(plan.parameters.primes[static_cast<std::size_t>(level)]);
  }
  const plan::Value& value(plan::ValueId id) const { return plan.values[id]; }

  plan::ValueId add_value(std::string name, const plan::Layout& layout, std::size_t period, int level,
                          double scale) {
    plan.values.push_back({std::move(name), layout, period, level, scale, 1.0});
    return static_cast<plan::ValueId>(plan.values.size() - 1);
  }

  // Random weights of `gain` / sqrt(fan-in), random biases.
  plan::ValueId linear(plan::ValueId in, std::vector<plan::LinearPiece> pieces, const plan::Layout& out,
                       std::size_t period, std::size_t width, double gain = 1) {
    plan::LinearMap map;
    map.in = value(in).layout.shape;
    map.out = out.shape;
    for (plan::LinearPiece& piece : pieces) {
      if (auto* c = std::get_if<plan::Convolution>(&piece)) {
        const int fan_in = c->in_channels / c->groups * c->kernel_height * c->kernel_width;
        c->weights = floats(static_cast<std::size_t>(c->out_channels * fan_in), gain / std::sqrt(fan_in));
      } else if (auto* m = std::get_if<plan::Matrix>(&piece)) {
        m->weights = floats(static_cast<std::size_t>(m->outputs) * static_cast<std::size_t>(m->inputs),
                            gain / std::sqrt(m->inputs));
      }
    }
    map.pieces = std::move(pieces);
    for (float b : floats(out.shape.elements(), 0.1)) map.bias.push_back(b);
    plan.maps.push_back(std::move(map));
    const int level = value(in).level - 1;
    const plan::ValueId id = add_value("layer" + std::to_string(plan.operations.size()), out, period, level,
                                       prime(std::max(level, 1)));
    plan.operations.push_back(
        plan::Linear{in, id, static_cast<std::uint32_t>(plan.maps.size() - 1), {width}});
    return id;
  }
  plan::ValueId square(plan::ValueId in) {
    const plan::Value from = value(in);
    const plan::ValueId id =
        add_value("square" + std::to_string(plan.operations.size()), from.layout, from.period, from.level - 1,
                  from.scale * from.scale / prime(from.level));
    plan.operations.push_back(plan::Square{in, id});
    return id;
  }
  plan::ValueId product(plan::ValueId left, plan::ValueId right) {
    const plan::Value a = value(left), b = value(right);
    const int level = std::min(a.level, b.level);
    const plan::ValueId id = add_value("product" + std::to_string(plan.operations.size()), a.layout, a.period,
                                       level - 1, a.scale * b.scale / prime(level));
    plan.operations.push_back(plan::Product{left, right, id});
    return id;
  }
  plan::ValueId polynomial(plan::ValueId in, std::vector<double> coefficients) {
    const plan::Value from = value(in);
    const int level = from.level - plan::polynomial_depth(coefficients.size() - 1);
    const plan::ValueId id = add_value("polynomial" + std::to_string(plan.operations.size()), from.layout,
                                       from.period, level, prime(std::max(level, 1)));
    plan.operations.push_back(plan::Polynomial{in, id, std::move(coefficients)});
    return id;
  }
  plan::ValueId rescaling(plan::ValueId in, double factor, double scale) {
    const plan::Value from = value(in);
    const plan::ValueId id = add_value("rescaling" + std::to_string(plan.operations.size()), from.layout,
                                       from.period, from.level - 1, scale);
    plan.operations.push_back(plan::Rescaling{in, id, factor});
    return id;
  }
  plan::ValueId add(plan::ValueId left, plan::ValueId right) {
    const plan::Value from = value(left);
    const plan::ValueId id = add_value("sum" + std::to_string(plan.operations.size()), from.layout,
                                       from.period, std::min(from.level, value(right).level), from.scale);
    plan.operations.push_back(plan::Add{left, right, id});
    return id;
  }

  plan::Plan finish(plan::ValueId output, const plan::KeyPolicy& policy = {}) {
    plan.output = output;
    return with_keys(plan, policy);
  }

  std::vector<float> floats(std::size_t count, double magnitude) {
    std::uniform_real_distribution<float> uniform(static_cast<float>(-magnitude),
                                                  static_cast<float>(magnitude));
    std::vector<float> values(count);
    for (float& v : values) v = uniform(random);
    return values;
  }

  plan::Plan plan;
  std::mt19937_64 random;
};

inline plan::Convolution convolution(int in, int out, int kernel, int stride, int pad, int groups = 1) {
  plan::Convolution c;
  c.in_channels = in;
  c.out_channels = out;
  c.groups = groups;
  c.kernel_height = c.kernel_width = kernel;
  c.stride_height = c.stride_width = stride;
  c.pad_top = c.pad_left = c.pad_bottom = c.pad_right = pad;
  return c;
}

inline plan::AveragePooling pooling(int kernel, int stride) {
  plan::AveragePooling p;
  p.kernel_height = p.kernel_width = kernel;
  p.stride_height = p.stride_width = stride;
  return p;
}

// The CryptoNets network (Gilad-Bachrach et al. 2016): 28x28 to 5x13x13, square, 100, square, 10.
inline plan::Plan make_cryptonets(std::uint64_t seed) {
  PlanBuilder builder(make_literal(13, 30, 27, 5), grid_layout(1, 28, 28, 1, 32), 1024, seed);
  plan::Convolution conv = convolution(1, 5, 5, 2, 1);
  conv.pad_bottom = conv.pad_right = 0;
  plan::ValueId v = builder.linear(builder.plan.input, {conv}, grid_layout(5, 13, 13, 2, 32), 2048, 8);
  v = builder.square(v);
  v = builder.linear(v, {plan::Matrix{100, 845, {}}}, vector_layout(100), 128, 16);
  v = builder.square(v);
  v = builder.linear(v, {plan::Matrix{10, 100, {}}}, vector_layout(10), 16, 4);
  return builder.finish(v);
}

// A residual block with a polynomial, a rescaling, a product and a pooling that is fused with the last layer.
inline plan::Plan make_residual(std::uint64_t seed) {
  PlanBuilder builder(make_literal(14, 40, 34, 8), grid_layout(3, 8, 8, 1, 8), 256, seed);
  const plan::Layout wide = grid_layout(4, 8, 8, 1, 8);
  const plan::ValueId stem =
      builder.linear(builder.plan.input, {convolution(3, 4, 3, 1, 1)}, wide, 256, 16, 0.5);
  const plan::ValueId active = builder.polynomial(stem, {0.1, 0.5, 0.25, -0.05});
  const plan::ValueId branch = builder.linear(active, {convolution(4, 4, 3, 1, 1)}, wide, 256, 8, 0.5);
  const plan::ValueId skip = builder.rescaling(stem, 0.5, builder.value(branch).scale);
  const plan::ValueId sum = builder.add(branch, skip);
  const plan::ValueId squared = builder.square(sum);
  const plan::ValueId product = builder.product(squared, active);
  const plan::ValueId out = builder.linear(
      product, {pooling(2, 2), plan::Scaling{{0.5f, 2.0f, 1.0f, -1.0f}}, plan::Matrix{6, 64, {}}},
      vector_layout(6), 8, 2);
  return builder.finish(out);
}

// The same plan with all its linear layers chained, by keys of powers of two.
inline plan::Plan make_chained(plan::Plan plan, const plan::KeyPolicy& policy = {}) {
  for (plan::Operation& operation : plan.operations)
    if (auto* linear = std::get_if<plan::Linear>(&operation)) linear->split.chained = true;
  return with_keys(std::move(plan), policy);
}

inline plan::Package make_package(plan::Plan plan) {
  plan.values[plan.input].range = 2.5;
  plan.values[plan.output].range = 7;
  plan::Package package{client_half_of(plan), std::move(plan)};
  plan::ClientHalf& half = package.client;
  half.name = "test-model.1";
  half.preprocessing.mean.assign(static_cast<std::size_t>(half.input_shape().channels), 0.25);
  half.preprocessing.deviation.assign(static_cast<std::size_t>(half.input_shape().channels), 0.3);
  for (std::size_t i = 0; i < half.output_shape().elements(); ++i)
    half.labels.push_back("label \"" + std::to_string(i));
  half.softmax = true;
  half.estimated_ms = 12.5;
  half.upload_bytes = 123456;
  half.download_bytes = 65432;
  half.key_bytes = 9876543210;
  half.rotations = 64;
  half.products = 205;
  return package;
}

}  // namespace tacit::test
