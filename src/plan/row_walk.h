// SPDX-License-Identifier: Apache-2.0
// The rows of a linear map one at a time: an output element's unit vector is carried back through the transposed
// operators, so that only what it depends on is touched.
#pragma once

#include <span>
#include <vector>

#include "plan/linear_map.h"

namespace tacit::plan::detail {

// The shape of the input and after each piece; the map's pieces must fit each other.
std::vector<Shape> shapes_of(const LinearMap& map);

// A vector of which few entries are not zero.
class SparseVector {
 public:
  explicit SparseVector(std::size_t size) : values_(size, 0), touched_flag_(size, 0) {}

  void add(std::size_t index, double value) {
    if (!touched_flag_[index]) {
      touched_flag_[index] = 1;
      touched_.push_back(static_cast<std::uint32_t>(index));
    }
    values_[index] += value;
  }
  const std::vector<std::uint32_t>& touched() const { return touched_; }
  double operator[](std::size_t index) const { return values_[index]; }
  void sort();
  void clear();

 private:
  std::vector<double> values_;
  std::vector<std::uint8_t> touched_flag_;
  std::vector<std::uint32_t> touched_;
};

class RowWalk {
 public:
  // The map must be valid and outlive this.
  explicit RowWalk(const LinearMap& map);

  // The row of an output element, valid until the next call; columns ascending, no zeros.
  std::span<const SparseEntry> row(std::size_t output);

 private:
  const LinearMap& map_;
  std::vector<Shape> shapes_;
  std::vector<SparseVector> stages_;  // one for each shape
  SparseRow row_;
};

}  // namespace tacit::plan::detail
