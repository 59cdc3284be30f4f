// SPDX-License-Identifier: Apache-2.0
// A sparse matrix of numbers times a vector of ciphertexts: y_o = sum_i w_oi x_i + b_o, each number multiplying all slots
// of a ciphertext. Where every slot belongs to another image and every element of a tensor is a ciphertext
// (Gilad-Bachrach et al. 2016, section 5.3), this is a linear layer of a network; it rotates nothing and needs no key.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "ckks/cost.h"
#include "ckks/evaluator.h"
#include "ring/kernels/kernels.h"

namespace tacit::ckks {

// Immutable; safe to share between threads.
class ScalarMatrix {
 public:
  struct Entry {
    std::uint32_t column = 0;  // which input
    double value = 0;
  };
  using Row = std::vector<Entry>;  // of one output, ascending columns
  struct Domain {
    int level = 1;  // of the inputs, at least 1
    double input_scale = 1, output_scale = 1;
  };
  // Called on the caller's thread with the limbs done and their number; false stops the work.
  using Progress = std::function<bool(std::size_t done, std::size_t total)>;

  // Encodes a weight w as the integer round(w output_scale q_level / input_scale), a bias b as round(b output_scale).
  // `inputs` is the number of columns, `bias` has a number for each row. kInvalidArgument where there are no rows or
  // columns, a row's columns are not ascending or not below `inputs`, the biases are not as many as the rows, or a scale is
  // not positive; kLevelMismatch where the parameters do not have the level, or it is 0; kValueOutOfRange where an
  // integer is not below 2^62.
  static Result<ScalarMatrix> create(const Parameters& parameters, std::size_t inputs,
                                     const std::vector<Row>& rows, std::span<const double> bias,
                                     const Domain& domain);

  // The outputs, one level below the inputs and at exactly output_scale: what Evaluator::multiply_scalar, add, rescale and
  // add_scalar give, to the bit. An output whose weights are all 0 is the bias with a c_1 of zeros, which decrypts under
  // any key. Needs inputs of two parts at the domain's level and scale, as many as columns (kInvalidArgument,
  // kDataMalformed, kLevelMismatch, kScaleMismatch), and an evaluator for the same parameters (kParametersMismatch).
  // kCancelled where `progress` returns false.
  Result<AlignedVector<Ciphertext>> apply(const Evaluator& evaluator, std::span<const Ciphertext> inputs,
                                          const Progress& progress = {}) const;

  std::size_t inputs() const { return inputs_; }
  std::size_t outputs() const { return order_.size(); }
  // What apply does, in calls of kernels.
  KernelCounts counts() const;
  std::size_t memory_bytes() const;

 private:
  // What the kernel takes at one prime, in its order.
  struct Limb {
    AlignedVector<std::int64_t> weights;
    u64 window_sum = 0;
    std::vector<u64> bias;  // times q_level, so that it is added before the division
  };

  explicit ScalarMatrix(const Parameters& parameters) : parameters_(parameters) {}
  Limb encode(std::size_t limb, std::span<const std::int64_t> weights,
              std::span<const std::int64_t> bias) const;
  Status check(const Evaluator& evaluator, std::span<const Ciphertext> inputs) const;
  // One limb of the products: of the outputs, or, q_level's, of `last`, which has both parts of each output.
  void multiply(std::size_t limb, std::span<const Ciphertext> inputs, AlignedVector<Ciphertext>& outputs,
                AlignedVector<ring::Poly>& last) const;

  Parameters parameters_;
  Domain domain_;
  std::size_t inputs_ = 0;
  std::vector<std::uint32_t> used_;   // inputs that any output needs, ascending
  std::vector<std::uint32_t> order_;  // which output the kernel's o-th is
  std::vector<ring::ScalarProduct::Block> blocks_;
  std::vector<std::uint32_t> block_inputs_;  // positions in used_
  std::vector<Limb> limbs_;                  // q_0 .. q_level
};

}  // namespace tacit::ckks
