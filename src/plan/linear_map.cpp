// SPDX-License-Identifier: Apache-2.0
// Shapes, checks and rows of linear maps. The diagonals are in diagonals.cpp.
#include "plan/linear_map.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string>

#include "plan/row_walk.h"

namespace tacit::plan {

namespace {

constexpr std::int64_t kMaxDimension = std::int64_t{1} << 15;
// Between the pieces of a fused layer a tensor may be larger than what is ever encrypted.
constexpr std::int64_t kMaxElementsBetween = std::int64_t{1} << 20;
constexpr std::size_t kMaxPieces = 64;

Status check_range(std::string_view name, std::int64_t value, std::int64_t least) {
  if (value >= least && value <= kMaxDimension) return {};
  return malformed_data(std::string(name) + " is " + std::to_string(value) + ", outside of " +
                        std::to_string(least) + " to " + std::to_string(kMaxDimension));
}

struct Window {
  int size, stride, pad_before, pad_after, dilation;
};

// floor((in + pads - extent of the kernel) / stride) + 1.
Result<int> window_count(std::string_view axis, int in, const Window& w) {
  const std::string name(axis);
  TACIT_CHECK(check_range("kernel " + name, w.size, 1));
  TACIT_CHECK(check_range("stride " + name, w.stride, 1));
  TACIT_CHECK(check_range("padding " + name, w.pad_before, 0));
  TACIT_CHECK(check_range("padding " + name, w.pad_after, 0));
  TACIT_CHECK(check_range("dilation " + name, w.dilation, 1));
  const std::int64_t span = std::int64_t{w.dilation} * (w.size - 1) + 1;
  const std::int64_t room = std::int64_t{in} + w.pad_before + w.pad_after - span;
  if (room < 0)
    return malformed_data("a kernel of " + name + " " + std::to_string(span) + " exceeds the padded image");
  return static_cast<int>(room / w.stride + 1);
}

Status check_shape(const Shape& shape, std::int64_t limit) {
  TACIT_CHECK(check_range("the channel count", shape.channels, 1));
  TACIT_CHECK(check_range("the height", shape.height, 1));
  TACIT_CHECK(check_range("the width", shape.width, 1));
  if (static_cast<std::int64_t>(shape.elements()) > limit)
    return malformed_data("a tensor has more than " + std::to_string(limit) + " elements");
  return {};
}

Status check_count(std::size_t count, std::uint64_t expected) {
  if (count == expected) return {};
  return malformed_data("there are " + std::to_string(count) + " weights where the dimensions make " +
                        std::to_string(expected));
}

Result<Shape> shape_after_piece(const Convolution& c, const Shape& in) {
  TACIT_CHECK(check_range("the group count", c.groups, 1));
  TACIT_CHECK(check_range("the output channel count", c.out_channels, 1));
  if (c.in_channels != in.channels || c.in_channels % c.groups != 0 || c.out_channels % c.groups != 0)
    return malformed_data("a convolution of " + std::to_string(c.in_channels) + " channels in " +
                          std::to_string(c.groups) + " groups does not fit " + std::to_string(in.channels) +
                          " channels");
  TACIT_TRY(const int height,
            window_count("height", in.height,
                         {c.kernel_height, c.stride_height, c.pad_top, c.pad_bottom, c.dilation_height}));
  TACIT_TRY(const int width,
            window_count("width", in.width,
                         {c.kernel_width, c.stride_width, c.pad_left, c.pad_right, c.dilation_width}));
  // Every factor is at most 2^15, so that the product of four fits.
  TACIT_CHECK(
      check_count(c.weights.size(), std::uint64_t(c.out_channels) * std::uint64_t(c.in_channels / c.groups) *
                                        std::uint64_t(c.kernel_height) * std::uint64_t(c.kernel_width)));
  return Shape{c.out_channels, height, width};
}

Result<Shape> shape_after_piece(const AveragePooling& p, const Shape& in) {
  TACIT_TRY(const int height, window_count("height", in.height,
                                           {p.kernel_height, p.stride_height, p.pad_top, p.pad_bottom, 1}));
  TACIT_TRY(const int width,
            window_count("width", in.width, {p.kernel_width, p.stride_width, p.pad_left, p.pad_right, 1}));
  return Shape{in.channels, height, width};
}

Result<Shape> shape_after_piece(const Matrix& m, const Shape& in) {
  TACIT_CHECK(check_range("the output count", m.outputs, 1));
  if (m.inputs < 1 || static_cast<std::size_t>(m.inputs) != in.elements())
    return malformed_data("a matrix of " + std::to_string(m.inputs) + " columns does not fit a tensor of " +
                          std::to_string(in.elements()) + " elements");
  TACIT_CHECK(check_count(m.weights.size(), std::uint64_t(m.outputs) * std::uint64_t(m.inputs)));
  return Shape{m.outputs, 1, 1};
}

Result<Shape> shape_after_piece(const Scaling& s, const Shape& in) {
  if (s.factor.size() != 1 && s.factor.size() != static_cast<std::size_t>(in.channels) &&
      s.factor.size() != in.elements())
    return malformed_data("a scaling has " + std::to_string(s.factor.size()) +
                          " factors; it needs one, one for each channel or one for each element");
  return in;
}

bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

// How many inputs one output of the piece depends on.
double fan_in(const LinearPiece& piece) {
  if (const auto* c = std::get_if<Convolution>(&piece))
    return static_cast<double>(c->in_channels / c->groups) * c->kernel_height * c->kernel_width;
  if (const auto* p = std::get_if<AveragePooling>(&piece))
    return static_cast<double>(p->kernel_height) * p->kernel_width;
  if (const auto* m = std::get_if<Matrix>(&piece)) return m->inputs;
  return 1;
}

}  // namespace

Result<Shape> LinearMap::shape_after(const LinearPiece& piece, const Shape& in) {
  TACIT_CHECK(check_shape(in, kMaxElementsBetween));
  TACIT_TRY(const Shape out, std::visit([&](const auto& p) { return shape_after_piece(p, in); }, piece));
  TACIT_CHECK(check_shape(out, kMaxElementsBetween));
  return out;
}

std::vector<Shape> detail::shapes_of(const LinearMap& map) {
  std::vector<Shape> shapes = {map.in};
  for (const LinearPiece& piece : map.pieces)
    shapes.push_back(LinearMap::shape_after(piece, shapes.back()).value());
  return shapes;
}

Status LinearMap::validate() const {
  TACIT_CHECK(check_shape(in, static_cast<std::int64_t>(kMaxExtent)));
  TACIT_CHECK(check_shape(out, static_cast<std::int64_t>(kMaxExtent)));
  if (pieces.size() > kMaxPieces)
    return malformed_data("a layer is made of more than " + std::to_string(kMaxPieces) + " operators");
  Shape shape = in;
  for (const LinearPiece& piece : pieces) {
    TACIT_TRY(shape, shape_after(piece, shape));
    const bool finite = std::visit(
        [](const auto& p) {
          if constexpr (requires { p.weights; })
            return all_finite(p.weights);
          else if constexpr (requires { p.factor; })
            return all_finite(p.factor);
          else
            return true;
        },
        piece);
    if (!finite) return malformed_data("a weight is infinite or not a number");
  }
  if (shape != out) return malformed_data("the operators of a layer do not lead to its output's shape");
  if (!std::isfinite(scale) || scale == 0)
    return malformed_data("a layer's scale is zero or not a finite number");
  if (!bias.empty() && bias.size() != out.elements())
    return malformed_data("a layer has " + std::to_string(bias.size()) + " biases for " +
                          std::to_string(out.elements()) + " outputs");
  for (double b : bias)
    if (!std::isfinite(b)) return malformed_data("a bias is infinite or not a number");
  if (work() > kMaxWork)
    return Error{ErrorCode::kDataTooLarge, "a fused layer is too large to be multiplied out"};
  return {};
}

double LinearMap::work() const {
  const std::vector<Shape> shapes = detail::shapes_of(*this);
  double support = 1, total = 1;
  for (std::size_t i = pieces.size(); i-- > 0;) {
    total += support * fan_in(pieces[i]);
    support = std::min(support * fan_in(pieces[i]), static_cast<double>(shapes[i].elements()));
  }
  return total * static_cast<double>(out.elements());
}

std::vector<SparseRow> LinearMap::rows() const {
  std::vector<SparseRow> result;
  result.reserve(out.elements());
  detail::RowWalk walk(*this);
  for (std::size_t row = 0; row < out.elements(); ++row) {
    const std::span<const SparseEntry> entries = walk.row(row);
    result.emplace_back(entries.begin(), entries.end());
  }
  return result;
}

}  // namespace tacit::plan
