// SPDX-License-Identifier: Apache-2.0
#include "graph/constant.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "graph/text.h"

namespace tacit::graph {
namespace {

Error mismatch(std::string message) { return Error{ErrorCode::kOnnxShape, std::move(message)}; }

// The distance in elements between neighbours along each axis.
Dims strides_of(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (std::size_t axis = dims.size(); axis-- > 1;) strides[axis - 1] = strides[axis] * dims[axis];
  return strides;
}

// Reads `source` at `base` plus the sum of index[k] * strides[k] for every index below `dims`, row-major.
template <class T>
std::vector<T> read_strided(const std::vector<T>& source, std::int64_t base, const Dims& dims,
                            const Dims& strides, std::int64_t count) {
  std::vector<T> result;
  result.reserve(static_cast<std::size_t>(count));
  Dims index(dims.size(), 0);
  for (std::int64_t at = base; count > 0; --count) {
    result.push_back(source[static_cast<std::size_t>(at)]);
    for (std::size_t axis = dims.size(); axis-- > 0;) {
      at += strides[axis];
      if (++index[axis] < dims[axis]) break;
      at -= strides[axis] * dims[axis];
      index[axis] = 0;
    }
  }
  return result;
}

Result<Constant> strided(const Constant& data, std::int64_t base, Dims dims, const Dims& strides) {
  TACIT_TRY(std::int64_t count, element_count(dims));
  return std::visit(
      [&](const auto& source) {
        Constant result;
        result.data = read_strided(source, base, dims, strides, count);
        result.dims = std::move(dims);
        return result;
      },
      data.data);
}

Result<std::int64_t> compute_one(Arithmetic operation, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  bool overflow = false;
  switch (operation) {
    case Arithmetic::kAdd:
      overflow = __builtin_add_overflow(a, b, &result);
      break;
    case Arithmetic::kSubtract:
      overflow = __builtin_sub_overflow(a, b, &result);
      break;
    case Arithmetic::kMultiply:
      overflow = __builtin_mul_overflow(a, b, &result);
      break;
    case Arithmetic::kDivide:
      if (b == 0) return malformed_onnx("it divides an integer by zero");
      overflow = b == -1 && a == std::numeric_limits<std::int64_t>::min();
      if (!overflow) result = a / b;
      break;
  }
  if (overflow) return malformed_onnx("its integer result does not fit 64 bits");
  return result;
}

Result<float> compute_one(Arithmetic operation, float a, float b) {
  switch (operation) {
    case Arithmetic::kAdd:
      return a + b;
    case Arithmetic::kSubtract:
      return a - b;
    case Arithmetic::kMultiply:
      return a * b;
    case Arithmetic::kDivide:
      return a / b;
  }
  return 0.0f;
}

template <class T>
Result<Constant> compute_all(Arithmetic operation, const std::vector<T>& a, const std::vector<T>& b,
                             Dims dims) {
  std::vector<T> result(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) { TACIT_TRY(result[i], compute_one(operation, a[i], b[i])); }
  return Constant{std::move(dims), std::move(result)};
}

}  // namespace

std::int64_t Constant::size() const {
  return std::visit([](const auto& elements) { return static_cast<std::int64_t>(elements.size()); }, data);
}

Constant make_integers(Dims dims, std::vector<std::int64_t> values) {
  return {std::move(dims), std::move(values)};
}
Constant make_floats(Dims dims, std::vector<float> values) { return {std::move(dims), std::move(values)}; }

Result<std::int64_t> element_count(std::span<const std::int64_t> dims) {
  auto too_large = [&] {
    return Error{ErrorCode::kOnnxTooLarge, "a tensor of " + dims_to_string(dims) + " is larger than the " +
                                               std::to_string(kMaxConstantElements) + " elements and " +
                                               std::to_string(kMaxRank) + " dimensions allowed"};
  };
  if (dims.size() > kMaxRank) return too_large();
  // Empty tensors have their other dimensions bounded too, so that no product of some of them overflows.
  std::int64_t bound = 1, count = 1;
  for (std::int64_t dim : dims) {
    if (dim < 0) return malformed_onnx("a tensor has the dimension " + std::to_string(dim));
    if (__builtin_mul_overflow(bound, std::max<std::int64_t>(dim, 1), &bound) ||
        bound > kMaxConstantElements) {
      return too_large();
    }
    count *= dim;
  }
  return count;
}

Result<std::size_t> normal_axis(std::int64_t axis, std::size_t rank) {
  auto limit = static_cast<std::int64_t>(rank);
  if (axis < -limit || axis >= limit) {
    return malformed_onnx("axis " + std::to_string(axis) + " does not exist in a tensor of " +
                          std::to_string(rank) + " dimensions");
  }
  return static_cast<std::size_t>(axis < 0 ? axis + limit : axis);
}

Result<Dims> broadcast_dims(const Dims& a, const Dims& b) {
  std::size_t rank = std::max(a.size(), b.size());
  Dims dims(rank, 1);
  for (std::size_t i = 0; i < rank; ++i) {  // from the last axis
    std::int64_t from_a = i < a.size() ? a[a.size() - 1 - i] : 1;
    std::int64_t from_b = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (from_a != from_b && from_a != 1 && from_b != 1) {
      return mismatch("its inputs " + dims_to_string(a) + " and " + dims_to_string(b) +
                      " cannot be broadcast");
    }
    dims[rank - 1 - i] = from_a == 1 ? from_b : from_a;
  }
  return dims;
}

Result<Constant> broadcast(const Constant& data, const Dims& dims) {
  Result<Dims> joint = broadcast_dims(data.dims, dims);
  if (!joint.ok() || *joint != dims) {
    return mismatch("a constant of " + dims_to_string(data.dims) + " cannot be broadcast to " +
                    dims_to_string(dims));
  }
  Dims own = strides_of(data.dims), strides(dims.size(), 0);
  for (std::size_t i = 0; i < own.size(); ++i) {
    std::size_t from = own.size() - 1 - i;
    if (data.dims[from] != 1) strides[dims.size() - 1 - i] = own[from];
  }
  return strided(data, 0, dims, strides);
}

Result<Constant> compute(Arithmetic operation, const Constant& a, const Constant& b) {
  if (a.is_float() != b.is_float())
    return malformed_onnx("one input holds integers, the other floating-point numbers");
  TACIT_TRY(Dims dims, broadcast_dims(a.dims, b.dims));
  TACIT_TRY(Constant left, broadcast(a, dims));
  TACIT_TRY(Constant right, broadcast(b, dims));
  if (a.is_float()) return compute_all(operation, left.floats(), right.floats(), std::move(dims));
  return compute_all(operation, left.integers(), right.integers(), std::move(dims));
}

Result<Dims> reshape_dims(const Dims& dims, std::span<const std::int64_t> target, bool allow_zero) {
  TACIT_TRY(std::int64_t count, element_count(dims));
  auto refuse = [&] {
    return mismatch("its input " + dims_to_string(dims) + " cannot be reshaped to " + dims_to_string(target));
  };
  Dims result(target.begin(), target.end());
  std::size_t open = result.size();
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (result[i] == 0 && !allow_zero) {
      if (i >= dims.size()) return refuse();
      result[i] = dims[i];
    } else if (result[i] == -1) {
      if (open != result.size()) return refuse();
      open = i;
    } else if (result[i] < 0) {
      return refuse();
    }
  }
  if (open != result.size()) {
    result[open] = 1;
    Result<std::int64_t> rest = element_count(result);
    if (!rest.ok() || *rest == 0 || count % *rest != 0) return refuse();
    result[open] = count / *rest;
  }
  Result<std::int64_t> filled = element_count(result);
  if (!filled.ok() || *filled != count) return refuse();
  return result;
}

Result<Dims> squeeze_dims(const Dims& dims, std::span<const std::int64_t> axes) {
  std::vector<bool> dropped(dims.size(), false);
  for (std::int64_t axis : axes) {
    TACIT_TRY(std::size_t place, normal_axis(axis, dims.size()));
    if (dims[place] != 1) {
      return mismatch("axis " + std::to_string(axis) + " of its input " + dims_to_string(dims) + " is not 1");
    }
    dropped[place] = true;
  }
  Dims result;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (!(axes.empty() ? dims[i] == 1 : dropped[i])) result.push_back(dims[i]);
  }
  return result;
}

Result<Dims> unsqueeze_dims(const Dims& dims, std::span<const std::int64_t> axes) {
  if (axes.size() > kMaxRank)
    return malformed_onnx("it inserts " + std::to_string(axes.size()) + " dimensions");
  std::vector<bool> inserted(dims.size() + axes.size(), false);
  for (std::int64_t axis : axes) {
    TACIT_TRY(std::size_t place, normal_axis(axis, inserted.size()));
    if (inserted[place]) return malformed_onnx("it inserts axis " + std::to_string(axis) + " twice");
    inserted[place] = true;
  }
  Dims result;
  auto next = dims.begin();
  for (bool one : inserted) result.push_back(one ? 1 : *next++);
  return result;
}

Status check_permutation(const Dims& dims, std::span<const std::int64_t> permutation) {
  std::vector<bool> seen(dims.size(), false);
  bool valid = permutation.size() == dims.size();
  for (std::int64_t axis : permutation) {
    valid = valid && axis >= 0 && axis < static_cast<std::int64_t>(dims.size()) &&
            !seen[static_cast<std::size_t>(axis)];
    if (!valid) break;
    seen[static_cast<std::size_t>(axis)] = true;
  }
  if (!valid)
    return malformed_onnx("its perm is not a permutation of the axes of its input " + dims_to_string(dims));
  return {};
}

Result<Constant> gather(const Constant& data, const Constant& indices, std::int64_t axis) {
  if (indices.is_float()) return malformed_onnx("its indices are not integers");
  TACIT_TRY(std::size_t place, normal_axis(axis, data.dims.size()));
  std::int64_t extent = data.dims[place];
  std::int64_t inner = 1, outer = 1;
  for (std::size_t i = 0; i < data.dims.size(); ++i) {
    if (i < place) outer *= data.dims[i];
    if (i > place) inner *= data.dims[i];
  }
  Dims dims(data.dims.begin(), data.dims.begin() + static_cast<std::ptrdiff_t>(place));
  dims.insert(dims.end(), indices.dims.begin(), indices.dims.end());
  dims.insert(dims.end(), data.dims.begin() + static_cast<std::ptrdiff_t>(place) + 1, data.dims.end());
  TACIT_TRY(std::int64_t count, element_count(dims));
  for (std::int64_t index : indices.integers()) {
    if (index < -extent || index >= extent) {
      return malformed_onnx("index " + std::to_string(index) + " is outside of axis " + std::to_string(axis) +
                            " of its input " + dims_to_string(data.dims));
    }
  }
  return std::visit(
      [&](const auto& source) {
        std::decay_t<decltype(source)> result;
        result.reserve(static_cast<std::size_t>(count));
        for (std::int64_t o = 0; count > 0 && o < outer; ++o) {
          for (std::int64_t index : indices.integers()) {
            auto from = source.begin() + (o * extent + (index < 0 ? index + extent : index)) * inner;
            result.insert(result.end(), from, from + inner);
          }
        }
        return Constant{dims, std::move(result)};
      },
      data.data);
}

Result<Constant> concat(std::span<const Constant* const> parts, std::int64_t axis) {
  const Constant& first = *parts.front();
  TACIT_TRY(std::size_t place, normal_axis(axis, first.dims.size()));
  Dims dims = first.dims;
  dims[place] = 0;
  for (const Constant* part : parts) {
    if (part->is_float() != first.is_float()) {
      return malformed_onnx("it joins integers and floating-point numbers");
    }
    bool fits = part->dims.size() == dims.size();
    for (std::size_t i = 0; fits && i < dims.size(); ++i) fits = i == place || part->dims[i] == dims[i];
    if (!fits) {
      return mismatch("its inputs " + dims_to_string(first.dims) + " and " + dims_to_string(part->dims) +
                      " cannot be joined along axis " + std::to_string(axis));
    }
    dims[place] += part->dims[place];
  }
  TACIT_TRY(std::int64_t count, element_count(dims));
  std::int64_t outer = std::accumulate(dims.begin(), dims.begin() + static_cast<std::ptrdiff_t>(place),
                                       std::int64_t{1}, std::multiplies<>());
  return std::visit(
      [&](const auto& pattern) {
        using Elements = std::decay_t<decltype(pattern)>;
        Elements result;
        result.reserve(static_cast<std::size_t>(count));
        for (std::int64_t o = 0; count > 0 && o < outer; ++o) {
          for (const Constant* part : parts) {
            const Elements& source = *std::get_if<Elements>(&part->data);
            std::int64_t run = part->size() / outer;
            result.insert(result.end(), source.begin() + o * run, source.begin() + (o + 1) * run);
          }
        }
        return Constant{dims, std::move(result)};
      },
      first.data);
}

Result<Constant> transpose(const Constant& data, std::span<const std::int64_t> permutation) {
  TACIT_CHECK(check_permutation(data.dims, permutation));
  Dims own = strides_of(data.dims), dims, strides;
  for (std::int64_t axis : permutation) {
    dims.push_back(data.dims[static_cast<std::size_t>(axis)]);
    strides.push_back(own[static_cast<std::size_t>(axis)]);
  }
  return strided(data, 0, std::move(dims), strides);
}

Result<Constant> slice(const Constant& data, std::span<const SliceRange> ranges) {
  Dims dims = data.dims, strides = strides_of(data.dims);
  std::int64_t base = 0;
  std::vector<bool> seen(dims.size(), false);
  for (const SliceRange& range : ranges) {
    TACIT_TRY(std::size_t place, normal_axis(range.axis, dims.size()));
    if (seen[place]) return malformed_onnx("it slices axis " + std::to_string(range.axis) + " twice");
    seen[place] = true;
    // Magnitudes beyond any extent mean "to the end", so they can be cut before negating or adding to them.
    constexpr std::int64_t kFar = std::int64_t{1} << 30;
    std::int64_t step = std::clamp(range.step, -kFar, kFar);
    if (step == 0) return malformed_onnx("it slices with a step of 0");
    std::int64_t extent = dims[place];
    auto normal = [&](std::int64_t index) {
      index = std::clamp(index, -kFar, kFar);
      if (index < 0) index += extent;
      return step > 0 ? std::clamp<std::int64_t>(index, 0, extent)
                      : std::clamp<std::int64_t>(index, -1, std::max<std::int64_t>(extent - 1, -1));
    };
    std::int64_t start = normal(range.start), end = normal(range.end);
    std::int64_t span = step > 0 ? end - start : start - end;
    std::int64_t pace = std::abs(step);
    dims[place] = span > 0 ? (span + pace - 1) / pace : 0;
    if (dims[place] > 0) base += start * strides[place];
    strides[place] *= step;
  }
  return strided(data, base, std::move(dims), strides);
}

Result<Constant> compute(UnaryFunction function, const Constant& data) {
  if (!data.is_float()) return malformed_onnx("it works on floating-point numbers, its input holds integers");
  const auto apply = [&](float x) -> float {
    switch (function) {
      case UnaryFunction::kAbs:
        return std::abs(x);
      case UnaryFunction::kCeil:
        return std::ceil(x);
      case UnaryFunction::kExp:
        return std::exp(x);
      case UnaryFunction::kFloor:
        return std::floor(x);
      case UnaryFunction::kReciprocal:
        return 1 / x;
      case UnaryFunction::kSqrt:
        return std::sqrt(x);
    }
    return x;
  };
  std::vector<float> result(data.floats());
  for (float& x : result) x = apply(x);
  return make_floats(data.dims, std::move(result));
}

Result<Constant> to_integers(const Constant& data) {
  if (!data.is_float()) return data;
  std::vector<std::int64_t> integers;
  integers.reserve(data.floats().size());
  for (float value : data.floats()) {
    if (!(std::abs(value) < 0x1p63f))
      return malformed_onnx("a floating-point number does not fit an integer");
    integers.push_back(static_cast<std::int64_t>(value));
  }
  return make_integers(data.dims, std::move(integers));
}

Constant to_floats(const Constant& data) {
  if (data.is_float()) return data;
  return make_floats(data.dims, {data.integers().begin(), data.integers().end()});
}

}  // namespace tacit::graph
