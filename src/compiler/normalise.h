// SPDX-License-Identifier: Apache-2.0
// How numbers are kept: x = range * stored + offset, |stored| <= 1 / margin on the calibration images, and
// stored * scale is what is encrypted.
//
// Linear layers and polynomials leave range, offset and scale of their results free. The others bind them: a
// square of stored numbers has range_out = factor range_in^2 and scale_out = scale_in^2 / q_level, and the
// two operands of a sum agree with their sum in range and scale; a product's first operand has those that its second
// and its result leave it. Values joined by sums form classes; squares
// join the classes to trees in which log range (and log scale) of one class gives all others.
#pragma once

#include <span>
#include <vector>

#include "base/result.h"
#include "compiler/calibrate.h"
#include "compiler/network.h"

namespace tacit::compiler {

// Decides the offsets and inserts identity layers where something demands an offset that nothing can provide:
// a square wants its input without `shift`, a polynomial, a product, a client and the output want none. Also makes sure that the
// network has a layer. By value.
std::vector<double> assign_offsets(Network& network);

// The classes, and how squares join them.
class Classes {
 public:
  explicit Classes(const Network& network);

  std::size_t count() const { return count_; }
  std::size_t of(ValueIndex value) const { return class_[value]; }

  // One step of a walk through a tree: `to` is found through the square layer, forwards or backwards.
  struct Step {
    std::size_t layer = 0;
    std::size_t from = 0, to = 0;
    bool forwards = true;
  };
  struct Tree {
    std::size_t root = 0;
    std::vector<Step> steps;
  };
  const std::vector<Tree>& trees() const { return trees_; }
  // log of class c = exponent(c) * log of its tree's root + a constant.
  double exponent(std::size_t c) const { return exponent_[c]; }
  // Square layers that close a cycle, in which a second way leads to the same class.
  const std::vector<std::size_t>& cycles() const { return cycles_; }

 private:
  std::size_t count_ = 0;
  std::vector<std::size_t> class_;  // by value
  std::vector<Tree> trees_;
  std::vector<double> exponent_;
  std::vector<std::size_t> cycles_;
};

// The largest |x - offset| of a value on the calibration images (`calibrated`, by graph value), or what is known of it.
double calibrated_size(const Network& network, ValueIndex value, double offset,
                       std::span<const Range> calibrated);

// Inserts RescalingLayers until no square closes a cycle and no class has both signs, or a negative one
// together with a value that the client makes or reads.
void break_cycles(Network& network);

// By value: see above. Ranges are negative where a square's factor is.
struct Normalisation {
  std::vector<double> offsets, ranges;
};

// The smallest ranges with |range| >= margin |x - offset| on the calibration images (`calibrated`, by graph
// value; fit_margin of it for what polynomials read) and at least those that polynomials were fitted on. Where a polynomial
// reads a class, values of it that are only on their way there may be kMaxExcess times as large. Inserts the layers that
// assign_offsets and break_cycles do, and RescalingLayers before sums where squares in a row would otherwise make a range
// kMaxSlack times what it need be, and where a range would make a polynomial's coefficients kMaxGrowth times as large as over
// the one that it was fitted on.
Normalisation normalise(Network& network, std::span<const Range> calibrated, double margin);

inline constexpr double kMaxSlack = 64;
inline constexpr double kMaxExcess = 64;
inline constexpr double kMaxGrowth = 16;

// Scales by value, for a network without cycles, for the primes q_0 .. as doubles: `scale` for the last class
// of each tree. The others follow.
std::vector<double> assign_scales(const Network& network, std::span<const int> levels,
                                  std::span<const double> primes, double scale);

}  // namespace tacit::compiler
