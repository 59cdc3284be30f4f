// SPDX-License-Identifier: Apache-2.0
#include "graph/constant.h"

#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "support/expect_error.h"

namespace tacit::graph {
namespace {

using test::expect_error;
using Integers = std::vector<std::int64_t>;

Constant count_up(Dims dims) {
  Integers values(static_cast<std::size_t>(*element_count(dims)));
  std::iota(values.begin(), values.end(), 0);
  return make_integers(std::move(dims), std::move(values));
}

void expect_integers(const Result<Constant>& found, const Dims& dims, const Integers& values) {
  ASSERT_TRUE(found.ok()) << found.error().to_line();
  EXPECT_EQ(found->dims, dims);
  ASSERT_FALSE(found->is_float());
  EXPECT_EQ(found->integers(), values);
}

TEST(Constant, CountsElements) {
  EXPECT_EQ(*element_count(Dims{}), 1);
  EXPECT_EQ(*element_count(Dims{2, 3, 4}), 24);
  EXPECT_EQ(*element_count(Dims{2, 0, 4}), 0);
  expect_error(element_count(Dims{2, -1}), ErrorCode::kOnnxMalformed);
  expect_error(element_count(Dims{std::int64_t{1} << 40, 1 << 30, 1 << 30}), ErrorCode::kOnnxTooLarge);
  expect_error(element_count(Dims{0, std::int64_t{1} << 62, 4}), ErrorCode::kOnnxTooLarge);
  expect_error(element_count(Dims(17, 1)), ErrorCode::kOnnxTooLarge);
}

TEST(Constant, BroadcastsAsNumPy) {
  EXPECT_EQ(*broadcast_dims({3, 1, 5}, {4, 1}), (Dims{3, 4, 5}));
  EXPECT_EQ(*broadcast_dims({}, {2, 2}), (Dims{2, 2}));
  EXPECT_EQ(*broadcast_dims({0}, {1}), (Dims{0}));
  expect_error(broadcast_dims({3, 2}, {3}), ErrorCode::kOnnxShape);
  expect_integers(broadcast(make_integers({2, 1}, {7, 8}), {2, 3}), {2, 3}, {7, 7, 7, 8, 8, 8});
  expect_integers(broadcast(make_integers({3}, {7, 8, 9}), {2, 3}), {2, 3}, {7, 8, 9, 7, 8, 9});
  expect_error(broadcast(count_up({2, 3}), {3}), ErrorCode::kOnnxShape);
}

TEST(Constant, Computes) {
  Constant row = make_integers({2}, {10, -7}), column = make_integers({2, 1}, {3, 2});
  expect_integers(compute(Arithmetic::kAdd, row, column), {2, 2}, {13, -4, 12, -5});
  expect_integers(compute(Arithmetic::kSubtract, row, column), {2, 2}, {7, -10, 8, -9});
  expect_integers(compute(Arithmetic::kMultiply, row, column), {2, 2}, {30, -21, 20, -14});
  expect_integers(compute(Arithmetic::kDivide, row, column), {2, 2}, {3, -2, 5, -3});
  constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
  for (Arithmetic operation : {Arithmetic::kAdd, Arithmetic::kMultiply}) {
    expect_error(compute(operation, make_integers({}, {kLeast}), make_integers({}, {kLeast})),
                 ErrorCode::kOnnxMalformed);
  }
  expect_error(compute(Arithmetic::kDivide, row, make_integers({}, {0})), ErrorCode::kOnnxMalformed);
  expect_error(compute(Arithmetic::kDivide, make_integers({}, {kLeast}), make_integers({}, {-1})),
               ErrorCode::kOnnxMalformed);
  expect_error(compute(Arithmetic::kAdd, row, make_floats({}, {1})), ErrorCode::kOnnxMalformed);
  Result<Constant> ratio = compute(Arithmetic::kDivide, make_floats({}, {1}), make_floats({1}, {8}));
  ASSERT_TRUE(ratio.ok());
  EXPECT_EQ(ratio->floats(), std::vector<float>{0.125f});
}

TEST(Constant, FindsReshapesDimensions) {
  EXPECT_EQ(*reshape_dims({2, 3, 4}, Dims{0, -1}, false), (Dims{2, 12}));
  EXPECT_EQ(*reshape_dims({2, 3, 4}, Dims{4, 6}, false), (Dims{4, 6}));
  EXPECT_EQ(*reshape_dims({1}, Dims{}, false), Dims{});
  EXPECT_EQ(*reshape_dims({0, 3}, Dims{3, 0}, true), (Dims{3, 0}));
  for (const Dims& target : {Dims{5, -1}, Dims{-1, -1}, Dims{2, 3}, Dims{-2, 12}, Dims{2, 3, 4, 0}}) {
    expect_error(reshape_dims({2, 3, 4}, target, false), ErrorCode::kOnnxShape);
  }
  expect_error(reshape_dims({0, 3}, Dims{0, -1}, true), ErrorCode::kOnnxShape);
}

TEST(Constant, SqueezesAndUnsqueezes) {
  EXPECT_EQ(*squeeze_dims({1, 3, 1, 2}, Dims{}), (Dims{3, 2}));
  EXPECT_EQ(*squeeze_dims({1, 3, 1, 2}, Dims{-2}), (Dims{1, 3, 2}));
  expect_error(squeeze_dims({1, 3}, Dims{1}), ErrorCode::kOnnxShape);
  expect_error(squeeze_dims({1, 3}, Dims{2}), ErrorCode::kOnnxMalformed);
  EXPECT_EQ(*unsqueeze_dims({3, 2}, Dims{0, -1}), (Dims{1, 3, 2, 1}));
  EXPECT_EQ(*unsqueeze_dims({}, Dims{0}), Dims{1});
  expect_error(unsqueeze_dims({3}, Dims{1, 1}), ErrorCode::kOnnxMalformed);
  expect_error(unsqueeze_dims({3}, Dims{5}), ErrorCode::kOnnxMalformed);
  expect_error(unsqueeze_dims({3}, Dims(100, 0)), ErrorCode::kOnnxMalformed);
}

TEST(Constant, Gathers) {
  expect_integers(gather(count_up({4}), make_integers({}, {-1}), 0), {}, {3});
  expect_integers(gather(count_up({2, 3}), make_integers({2}, {2, 0}), 1), {2, 2}, {2, 0, 5, 3});
  expect_integers(gather(count_up({2, 3}), make_integers({1, 1}, {1}), 0), {1, 1, 3}, {3, 4, 5});
  expect_error(gather(count_up({4}), make_integers({}, {4}), 0), ErrorCode::kOnnxMalformed);
  expect_error(gather(count_up({4}), make_integers({}, {-5}), 0), ErrorCode::kOnnxMalformed);
  expect_error(gather(count_up({4}), make_integers({}, {0}), 1), ErrorCode::kOnnxMalformed);
  expect_error(gather(count_up({4}), make_floats({}, {0}), 0), ErrorCode::kOnnxMalformed);
}

TEST(Constant, Concatenates) {
  Constant a = count_up({2, 1}), b = count_up({2, 2}), empty = make_integers({2, 0}, {});
  const Constant* parts[] = {&a, &empty, &b};
  expect_integers(concat(parts, -1), {2, 3}, {0, 0, 1, 1, 2, 3});
  const Constant* crooked[] = {&a, &b};
  expect_error(concat(crooked, 0), ErrorCode::kOnnxShape);
  Constant floats = make_floats({2, 1}, {0, 0});
  const Constant* mixed[] = {&a, &floats};
  expect_error(concat(mixed, 1), ErrorCode::kOnnxMalformed);
}

TEST(Constant, Transposes) {
  expect_integers(transpose(count_up({2, 3}), Dims{1, 0}), {3, 2}, {0, 3, 1, 4, 2, 5});
  expect_integers(transpose(count_up({2, 1, 3}), Dims{2, 0, 1}), {3, 2, 1}, {0, 3, 1, 4, 2, 5});
  for (const Dims& wrong : {Dims{0}, Dims{0, 0}, Dims{0, 2}, Dims{-1, 0}}) {
    expect_error(transpose(count_up({2, 3}), wrong), ErrorCode::kOnnxMalformed);
  }
}

TEST(Constant, Slices) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
  auto take = [](const Constant& data, std::vector<SliceRange> ranges) { return slice(data, ranges); };
  Constant line = count_up({5});
  expect_integers(take(line, {{0, 1, 3, 1}}), {2}, {1, 2});
  expect_integers(take(line, {{0, -2, kMost, 1}}), {2}, {3, 4});
  expect_integers(take(line, {{0, 0, kMost, 2}}), {3}, {0, 2, 4});
  expect_integers(take(line, {{0, -1, kLeast, -1}}), {5}, {4, 3, 2, 1, 0});
  expect_integers(take(line, {{-1, kMost, 1, -2}}), {2}, {4, 2});
  expect_integers(take(line, {{0, 3, 1, 1}}), {0}, {});
  expect_integers(take(line, {{0, 1, kMost, kMost}}), {1}, {1});
  expect_integers(take(count_up({0}), {{0, 0, kMost, 1}}), {0}, {});
  expect_integers(take(count_up({0}), {{0, -1, kLeast, -1}}), {0}, {});
  expect_integers(take(count_up({3, 4}), {{1, 1, 3, 1}, {0, -1, -3, -1}}), {2, 2}, {9, 10, 5, 6});
  expect_error(take(line, {{0, 0, 5, 0}}), ErrorCode::kOnnxMalformed);
  expect_error(take(line, {{1, 0, 5, 1}}), ErrorCode::kOnnxMalformed);
  expect_error(take(line, {{0, 0, 5, 1}, {-1, 0, 5, 1}}), ErrorCode::kOnnxMalformed);
}

TEST(Constant, Converts) {
  expect_integers(to_integers(make_floats({3}, {1.9f, -1.9f, 0})), {3}, {1, -1, 0});
  expect_error(to_integers(make_floats({1}, {1e19f})), ErrorCode::kOnnxMalformed);
  expect_error(to_integers(make_floats({1}, {std::numeric_limits<float>::quiet_NaN()})),
               ErrorCode::kOnnxMalformed);
  EXPECT_EQ(to_floats(make_integers({2}, {-3, 4})).floats(), (std::vector<float>{-3, 4}));
}

}  // namespace
}  // namespace tacit::graph
