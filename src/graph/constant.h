// SPDX-License-Identifier: Apache-2.0
// Tensors known at import: weights, and the integers that exporters compute shapes with. The functions here
// are the ONNX operators of the same name on such tensors.
#pragma once

#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "base/result.h"

namespace tacit::graph {

using Dims = std::vector<std::int64_t>;

// Floating-point elements are kept as float32 (float64 is rounded to it), integers and booleans as int64.
// Row-major; dimensions may be 0.
struct Constant {
  Dims dims;
  std::variant<std::vector<float>, std::vector<std::int64_t>> data;

  bool is_float() const { return data.index() == 0; }
  const std::vector<float>& floats() const { return *std::get_if<0>(&data); }
  const std::vector<std::int64_t>& integers() const { return *std::get_if<1>(&data); }
  std::int64_t size() const;
};

Constant make_integers(Dims dims, std::vector<std::int64_t> values);
Constant make_floats(Dims dims, std::vector<float> values);

inline constexpr std::int64_t kMaxConstantElements = std::int64_t{1} << 28;
inline constexpr std::size_t kMaxRank = 16;

// The product of non-negative dimensions; onnx.too-large beyond the limits above.
Result<std::int64_t> element_count(std::span<const std::int64_t> dims);

// A possibly negative axis as a number in [0, rank); onnx.malformed outside of [-rank, rank).
Result<std::size_t> normal_axis(std::int64_t axis, std::size_t rank);

enum class Arithmetic { kAdd, kSubtract, kMultiply, kDivide };

// The shape both broadcast to by NumPy's rules; onnx.shape, naming both, where there is none.
Result<Dims> broadcast_dims(const Dims& a, const Dims& b);
// `data` repeated to `dims`, which it must broadcast to.
Result<Constant> broadcast(const Constant& data, const Dims& dims);
// Both float or both integer. Integer results that do not fit and integer division by 0 are onnx.malformed.
Result<Constant> compute(Arithmetic operation, const Constant& a, const Constant& b);

// The dimensions Reshape's `target` stands for: 0 keeps the one of `dims` at its place (unless `allow_zero`),
// one -1 takes what is left. onnx.shape, naming both, where the elements do not fit.
Result<Dims> reshape_dims(const Dims& dims, std::span<const std::int64_t> target, bool allow_zero);
// Without the dimensions of 1 named by `axes`, or all of them where there are none.
Result<Dims> squeeze_dims(const Dims& dims, std::span<const std::int64_t> axes);
// With dimensions of 1 at the places `axes` of the result.
Result<Dims> unsqueeze_dims(const Dims& dims, std::span<const std::int64_t> axes);
// Checks that `permutation` is one of dims.size() axes.
Status check_permutation(const Dims& dims, std::span<const std::int64_t> permutation);

Result<Constant> gather(const Constant& data, const Constant& indices, std::int64_t axis);
Result<Constant> concat(std::span<const Constant* const> parts, std::int64_t axis);
Result<Constant> transpose(const Constant& data, std::span<const std::int64_t> permutation);

struct SliceRange {
  std::int64_t axis = 0, start = 0, end = 0, step = 1;
};
Result<Constant> slice(const Constant& data, std::span<const SliceRange> ranges);

enum class UnaryFunction { kAbs, kCeil, kExp, kFloor, kReciprocal, kSqrt };
// Of floating-point elements, element by element; may give infinities and NaN. onnx.malformed for integers.
Result<Constant> compute(UnaryFunction function, const Constant& data);

// To float32 or to int64, rounding toward zero; onnx.malformed for a float that is not an int64.
Result<Constant> to_integers(const Constant& data);
Constant to_floats(const Constant& data);

}  // namespace tacit::graph
