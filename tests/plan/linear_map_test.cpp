// SPDX-License-Identifier: Apache-2.0
// Rows of fused layers against each operator written out as its definition.
#include "plan/linear_map.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <random>

namespace tacit::plan {
namespace {

using Tensor = std::vector<double>;

double at(const Tensor& x, const Shape& shape, int c, int row, int column) {
  if (row < 0 || row >= shape.height || column < 0 || column >= shape.width) return 0;
  return x[shape.index(c, row, column)];
}

Tensor apply(const Convolution& c, const Shape& in, const Shape& out, const Tensor& x) {
  Tensor y(out.elements(), 0);
  const int group_in = c.in_channels / c.groups, group_out = c.out_channels / c.groups;
  for (int co = 0; co < out.channels; ++co)
    for (int row = 0; row < out.height; ++row)
      for (int column = 0; column < out.width; ++column)
        for (int i = 0; i < group_in; ++i)
          for (int ky = 0; ky < c.kernel_height; ++ky)
            for (int kx = 0; kx < c.kernel_width; ++kx)
              y[out.index(co, row, column)] +=
                  c.weights[static_cast<std::size_t>(
                      ((co * group_in + i) * c.kernel_height + ky) * c.kernel_width + kx)] *
                  at(x, in, co / group_out * group_in + i,
                     row * c.stride_height - c.pad_top + ky * c.dilation_height,
                     column * c.stride_width - c.pad_left + kx * c.dilation_width);
  return y;
}

Tensor apply(const AveragePooling& p, const Shape& in, const Shape& out, const Tensor& x) {
  Tensor y(out.elements(), 0);
  for (int c = 0; c < out.channels; ++c)
    for (int row = 0; row < out.height; ++row)
      for (int column = 0; column < out.width; ++column) {
        double sum = 0;
        int count = 0;
        for (int ky = 0; ky < p.kernel_height; ++ky)
          for (int kx = 0; kx < p.kernel_width; ++kx) {
            const int iy = row * p.stride_height - p.pad_top + ky,
                      ix = column * p.stride_width - p.pad_left + kx;
            sum += at(x, in, c, iy, ix);
            count += iy >= 0 && iy < in.height && ix >= 0 && ix < in.width;
          }
        const int divisor = p.exclude_padding ? count : p.kernel_height * p.kernel_width;
        y[out.index(c, row, column)] = divisor == 0 ? 0 : sum / divisor;
      }
  return y;
}

Tensor apply(const Matrix& m, const Shape&, const Shape&, const Tensor& x) {
  Tensor y(static_cast<std::size_t>(m.outputs), 0);
  for (std::size_t i = 0; i < y.size(); ++i)
    for (std::size_t j = 0; j < x.size(); ++j) y[i] += m.weights[i * x.size() + j] * x[j];
  return y;
}

Tensor apply(const Scaling& s, const Shape& in, const Shape&, const Tensor& x) {
  Tensor y(x.size());
  for (int c = 0; c < in.channels; ++c)
    for (int row = 0; row < in.height; ++row)
      for (int column = 0; column < in.width; ++column) {
        const std::size_t i = in.index(c, row, column);
        const std::size_t f = s.factor.size() == 1          ? 0
                              : s.factor.size() == x.size() ? i
                                                            : static_cast<std::size_t>(c);
        y[i] = x[i] * s.factor[f];
      }
  return y;
}

std::vector<float> random_floats(std::size_t count, std::mt19937_64& random) {
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(count);
  for (float& v : values) v = uniform(random);
  // Some exact zeros, as in pruned networks.
  for (std::size_t i = 0; i < count; i += 7) values[i] = 0;
  return values;
}

// A random piece for tensors of shape `in`, possibly one that does not fit.
LinearPiece random_piece(const Shape& in, std::mt19937_64& random) {
  switch (*rc::gen::inRange(0, 4)) {
    case 0: {
      Convolution c;
      c.in_channels = in.channels;
      c.groups = in.channels % 2 == 0 && *rc::gen::arbitrary<bool>() ? 2 : 1;
      c.out_channels = c.groups * *rc::gen::inRange(1, 4);
      c.kernel_height = *rc::gen::inRange(1, 4);
      c.kernel_width = *rc::gen::inRange(1, 4);
      c.stride_height = *rc::gen::inRange(1, 3);
      c.stride_width = *rc::gen::inRange(1, 3);
      c.dilation_height = *rc::gen::inRange(1, 3);
      c.dilation_width = *rc::gen::inRange(1, 3);
      c.pad_top = *rc::gen::inRange(0, 3);
      c.pad_left = *rc::gen::inRange(0, 3);
      c.pad_bottom = *rc::gen::inRange(0, 3);
      c.pad_right = *rc::gen::inRange(0, 3);
      c.weights = random_floats(static_cast<std::size_t>(c.out_channels * in.channels / c.groups *
                                                         c.kernel_height * c.kernel_width),
                                random);
      return c;
    }
    case 1: {
      AveragePooling p;
      p.kernel_height = *rc::gen::inRange(1, 4);
      p.kernel_width = *rc::gen::inRange(1, 4);
      p.stride_height = *rc::gen::inRange(1, 3);
      p.stride_width = *rc::gen::inRange(1, 3);
      p.pad_top = *rc::gen::inRange(0, p.kernel_height);
      p.pad_left = *rc::gen::inRange(0, p.kernel_width);
      p.pad_bottom = *rc::gen::inRange(0, p.kernel_height);
      p.exclude_padding = *rc::gen::arbitrary<bool>();
      return p;
    }
    case 2: {
      Matrix m;
      m.outputs = *rc::gen::inRange(1, 12);
      m.inputs = static_cast<int>(in.elements());
      m.weights = random_floats(static_cast<std::size_t>(m.outputs) * in.elements(), random);
      return m;
    }
    default: {
      const std::size_t sizes[] = {1, static_cast<std::size_t>(in.channels), in.elements()};
      return Scaling{random_floats(sizes[*rc::gen::inRange(0, 3)], random)};
    }
  }
}

RC_GTEST_PROP(LinearMap, RowsAreTheProductOfTheOperators, (std::uint64_t seed)) {
  std::mt19937_64 random(seed);
  LinearMap map;
  map.in = {*rc::gen::inRange(1, 5), *rc::gen::inRange(1, 9), *rc::gen::inRange(1, 9)};
  map.scale = 0.375;
  map.out = map.in;
  Tensor x(map.in.elements());
  for (double& v : x) v = std::uniform_real_distribution<double>(-1, 1)(random);
  Tensor y = x;
  for (int pieces = *rc::gen::inRange(0, 4); pieces > 0; --pieces) {
    const LinearPiece piece = random_piece(map.out, random);
    const auto shape = LinearMap::shape_after(piece, map.out);
    if (!shape.ok()) continue;
    y = std::visit([&](const auto& p) { return apply(p, map.out, *shape, y); }, piece);
    map.out = *shape;
    map.pieces.push_back(piece);
  }
  RC_ASSERT(map.validate().ok());
  const std::vector<SparseRow> rows = map.rows();
  RC_ASSERT(rows.size() == map.out.elements());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    double sum = 0;
    for (std::size_t k = 0; k < rows[i].size(); ++k) {
      RC_ASSERT(rows[i][k].value != 0);
      RC_ASSERT(rows[i][k].column < map.in.elements());
      if (k > 0) RC_ASSERT(rows[i][k - 1].column < rows[i][k].column);
      sum += rows[i][k].value * x[rows[i][k].column];
    }
    RC_ASSERT(std::abs(sum - map.scale * y[i]) < 1e-9);
  }
}

Convolution wide_convolution() {
  Convolution c;
  c.in_channels = c.out_channels = 64;
  c.kernel_height = c.kernel_width = 3;
  c.pad_top = c.pad_left = c.pad_bottom = c.pad_right = 1;
  c.weights.assign(64 * 64 * 9, 0.5f);
  return c;
}

TEST(LinearMap, MultipliesOutMillionsOfEntries) {
  LinearMap map;
  map.in = map.out = {64, 8, 8};
  map.pieces = {Scaling{std::vector<float>(64, 2)}, wide_convolution(), Scaling{std::vector<float>(64, 2)}};
  ASSERT_TRUE(map.validate().ok());
  std::size_t entries = 0;
  for (const SparseRow& row : map.rows()) entries += row.size();
  EXPECT_EQ(entries, 64u * 64 * 22 * 22);  // 22 = 8 * 3 - 2: the taps inside the image along one axis
}

TEST(LinearMap, RefusesContradictions) {
  const auto code = [](const LinearMap& map) {
    const Status status = map.validate();
    return status.ok() ? ErrorCode::kInternal : status.error().code;
  };
  LinearMap good;
  good.in = good.out = {64, 8, 8};
  good.pieces = {wide_convolution()};
  ASSERT_TRUE(good.validate().ok());

  const auto broken = [&](auto change) {
    LinearMap map = good;
    change(map, *std::get_if<Convolution>(&map.pieces[0]));
    return code(map);
  };
  EXPECT_EQ(broken([](LinearMap&, Convolution& c) { c.weights.pop_back(); }), ErrorCode::kDataMalformed);
  EXPECT_EQ(broken([](LinearMap&, Convolution& c) { c.weights[5] = INFINITY; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(broken([](LinearMap&, Convolution& c) { c.groups = 3; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(broken([](LinearMap&, Convolution& c) { c.groups = 0; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(broken([](LinearMap&, Convolution& c) { c.stride_width = 0; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(broken([](LinearMap&, Convolution& c) { c.pad_left = -1; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(broken([](LinearMap&, Convolution& c) { c.kernel_height = 11; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(broken([](LinearMap&, Convolution& c) { c.dilation_height = 1 << 30; }),
            ErrorCode::kDataMalformed);
  EXPECT_EQ(broken([](LinearMap& m, Convolution&) { m.out.width = 7; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(broken([](LinearMap& m, Convolution&) { m.in.height = 0; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(broken([](LinearMap& m, Convolution&) { m.scale = 0; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(broken([](LinearMap& m, Convolution&) { m.scale = NAN; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(broken([](LinearMap& m, Convolution&) { m.bias.assign(3, 0); }), ErrorCode::kDataMalformed);
  EXPECT_EQ(broken([](LinearMap& m, Convolution&) { m.bias.assign(4096, NAN); }), ErrorCode::kDataMalformed);
  EXPECT_EQ(broken([](LinearMap& m, Convolution&) { m.pieces.assign(65, Scaling{{1}}); }),
            ErrorCode::kDataMalformed);
}

TEST(LinearMap, RefusesLayersThatWouldTakeHoursToMultiplyOut) {
  // A few thousand weights of one huge kernel make a dense matrix of 2^30 entries.
  Convolution c;
  c.in_channels = c.out_channels = 1;
  c.kernel_height = c.kernel_width = 361;
  c.pad_top = c.pad_left = c.pad_bottom = c.pad_right = 180;
  c.weights.assign(361 * 361, 1);
  LinearMap map;
  map.in = map.out = {1, 181, 181};
  map.pieces = {c};
  ASSERT_FALSE(map.validate().ok());
  EXPECT_EQ(map.validate().error().code, ErrorCode::kDataTooLarge);
}

}  // namespace
}  // namespace tacit::plan
