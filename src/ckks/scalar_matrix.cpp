// SPDX-License-Identifier: Apache-2.0
#include "ckks/scalar_matrix.h"

#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "ckks/rounding.h"
#include "ckks/row_blocks.h"

namespace tacit::ckks {

using ring::kernels;
using ring::Poly;
using ring::ScalarProduct;

namespace {

// Polynomials that one thread divides together: as many as the second-level cache has room for the last limbs of.
constexpr std::size_t kMaxRescaleGroup = 4;

Error invalid(const std::string& what) { return {ErrorCode::kInvalidArgument, what}; }

bool is_scale(double scale) { return std::isfinite(scale) && scale > 0; }

std::string input_name(std::size_t i) { return "input " + std::to_string(i) + " of a scalar matrix"; }
std::string output_name(std::size_t o) { return "output " + std::to_string(o) + " of a scalar matrix"; }

Status check_rows(std::size_t inputs, const std::vector<ScalarMatrix::Row>& rows,
                  std::span<const double> bias) {
  if (inputs == 0 || rows.empty()) return invalid("a scalar matrix needs at least one input and one output");
  if (bias.size() != rows.size()) {
    return invalid("a scalar matrix of " + std::to_string(rows.size()) + " outputs was given " +
                   std::to_string(bias.size()) + " biases; give one for each output");
  }
  for (std::size_t o = 0; o < rows.size(); ++o) {
    for (std::size_t k = 0; k < rows[o].size(); ++k) {
      const std::uint32_t column = rows[o][k].column;
      if (column >= inputs || (k > 0 && column <= rows[o][k - 1].column)) {
        return invalid(output_name(o) + " has column " + std::to_string(column) +
                       " out of place; columns must ascend and be below " + std::to_string(inputs));
      }
    }
  }
  return {};
}

Status check_domain(const Parameters& parameters, const ScalarMatrix::Domain& domain) {
  if (domain.level < 1 || domain.level > parameters.max_level()) {
    return Error{ErrorCode::kLevelMismatch,
                 "a scalar matrix takes a level, so its inputs need one from 1 to the highest, " +
                     std::to_string(parameters.max_level()) + ", not " + std::to_string(domain.level)};
  }
  if (!is_scale(domain.input_scale) || !is_scale(domain.output_scale))
    return invalid("the scales of a scalar matrix must be positive and finite");
  return {};
}

// A matrix of integers by rows, those that are 0 left out. A row always has a column, if with a 0.
struct IntegerRows {
  std::vector<std::vector<std::uint32_t>> columns;
  std::vector<std::vector<std::int64_t>> values;
};

Result<IntegerRows> round_rows(const std::vector<ScalarMatrix::Row>& rows, double scale) {
  IntegerRows out{std::vector<std::vector<std::uint32_t>>(rows.size()),
                  std::vector<std::vector<std::int64_t>>(rows.size())};
  for (std::size_t o = 0; o < rows.size(); ++o) {
    for (const ScalarMatrix::Entry& entry : rows[o]) {
      auto value = round_to_integer(entry.value * scale);
      if (!value.ok()) {
        return std::move(value).error().within(output_name(o) + ", its weight for input " +
                                               std::to_string(entry.column));
      }
      if (*value == 0) continue;
      out.columns[o].push_back(entry.column);
      out.values[o].push_back(*value);
    }
    if (out.columns[o].empty()) {
      out.columns[o].push_back(0);
      out.values[o].push_back(0);
    }
  }
  return out;
}

Result<std::vector<std::int64_t>> round_biases(std::span<const double> bias, double scale) {
  std::vector<std::int64_t> out;
  for (std::size_t o = 0; o < bias.size(); ++o) {
    auto value = round_to_integer(bias[o] * scale);
    if (!value.ok()) return std::move(value).error().within(output_name(o) + ", its bias");
    out.push_back(*value);
  }
  return out;
}

std::vector<std::uint32_t> columns_of(std::span<const RowBlock> blocks) {
  std::vector<std::uint32_t> all;
  for (const RowBlock& block : blocks) all.insert(all.end(), block.columns.begin(), block.columns.end());
  std::ranges::sort(all);
  const auto repeated = std::ranges::unique(all);
  all.erase(repeated.begin(), repeated.end());
  return all;
}

std::uint32_t position(const std::vector<std::uint32_t>& sorted, std::uint32_t value) {
  return static_cast<std::uint32_t>(std::ranges::lower_bound(sorted, value) - sorted.begin());
}

// The weights of a block as the kernel takes them: for each column, one for each row.
void append_weights(const RowBlock& block, const IntegerRows& rows, std::vector<std::int64_t>& weights) {
  const std::size_t first = weights.size(), count = block.rows.size();
  weights.resize(first + block.columns.size() * count, 0);
  for (std::size_t r = 0; r < count; ++r) {
    const auto& columns = rows.columns[block.rows[r]];
    for (std::size_t k = 0; k < columns.size(); ++k)
      weights[first + position(block.columns, columns[k]) * count + r] = rows.values[block.rows[r]][k];
  }
}

// See ScalarProduct::window_sum.
u64 largest_window(std::span<const ScalarProduct::Block> blocks, std::span<const std::int64_t> weights) {
  u64 largest = 0;
  std::size_t first = 0;
  for (const ScalarProduct::Block& block : blocks) {
    u64 sums[ScalarProduct::kMaxOutputs];
    for (std::size_t j = 0; j < block.inputs; ++j) {
      if (j % ScalarProduct::kWindow == 0) std::ranges::fill(sums, 0);
      for (std::size_t o = 0; o < block.outputs; ++o) {
        sums[o] += static_cast<u64>(std::abs(weights[first++]));
        largest = std::max(largest, sums[o]);
      }
    }
  }
  return largest;
}

}  // namespace

Result<ScalarMatrix> ScalarMatrix::create(const Parameters& parameters, std::size_t inputs,
                                          const std::vector<Row>& rows, std::span<const double> bias,
                                          const Domain& domain) {
  TACIT_CHECK(check_domain(parameters, domain));
  TACIT_CHECK(check_rows(inputs, rows, bias));
  const double scale =
      domain.output_scale * static_cast<double>(parameters.prime(domain.level).value()) / domain.input_scale;
  TACIT_TRY(const IntegerRows integers, round_rows(rows, scale));
  TACIT_TRY(const std::vector<std::int64_t> biases, round_biases(bias, domain.output_scale));

  ScalarMatrix matrix(parameters);
  matrix.domain_ = domain;
  matrix.inputs_ = inputs;
  const std::vector<RowBlock> blocks = make_row_blocks(integers.columns, ScalarProduct::kMaxOutputs);
  matrix.used_ = columns_of(blocks);
  std::vector<std::int64_t> weights, ordered_biases;
  for (const RowBlock& block : blocks) {
    matrix.blocks_.push_back(
        {static_cast<std::uint32_t>(block.rows.size()), static_cast<std::uint32_t>(block.columns.size())});
    for (std::uint32_t column : block.columns) matrix.block_inputs_.push_back(position(matrix.used_, column));
    for (std::uint32_t row : block.rows) {
      matrix.order_.push_back(row);
      ordered_biases.push_back(biases[row]);
    }
    append_weights(block, integers, weights);
  }
  matrix.limbs_.resize(static_cast<std::size_t>(domain.level) + 1);
  parallel_for(matrix.limbs_.size(),
               [&](std::size_t i) { matrix.limbs_[i] = matrix.encode(i, weights, ordered_biases); });
  return matrix;
}

ScalarMatrix::Limb ScalarMatrix::encode(std::size_t limb, std::span<const std::int64_t> weights,
                                        std::span<const std::int64_t> bias) const {
  const ring::Modulus& q = parameters_.ring().modulus(limb);
  const u64 divisor = q.reduce(parameters_.prime(domain_.level).value());
  Limb out;
  out.weights.reserve(weights.size());
  for (std::int64_t weight : weights) {
    const u64 residue = q.reduce_signed(weight);
    out.weights.push_back(ScalarProduct::narrow(q) ? q.centred(residue) : static_cast<std::int64_t>(residue));
  }
  if (ScalarProduct::narrow(q)) out.window_sum = largest_window(blocks_, out.weights);
  for (std::int64_t b : bias) out.bias.push_back(q.multiply(q.reduce_signed(b), divisor));
  return out;
}

Status ScalarMatrix::check(const Evaluator& evaluator, std::span<const Ciphertext> inputs) const {
  if (!(evaluator.parameters() == parameters_)) {
    return Error{
        ErrorCode::kParametersMismatch,
        "a scalar matrix was made for other parameters than those of the evaluator; make it for these"};
  }
  if (inputs.size() != inputs_) {
    return invalid("a scalar matrix of " + std::to_string(inputs_) + " inputs was given " +
                   std::to_string(inputs.size()) + " ciphertexts");
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Ciphertext& input = inputs[i];
    if (input.size() != 2) {
      return Error{ErrorCode::kDataMalformed,
                   input_name(i) + " has " + std::to_string(input.size()) + " parts; relinearise it to two"};
    }
    for (const Poly& part : input.parts) {
      if (part.degree() != parameters_.degree() || part.limbs() != limbs_.size()) {
        return Error{ErrorCode::kLevelMismatch, input_name(i) + " has " + std::to_string(part.limbs()) +
                                                    " primes at degree " + std::to_string(part.degree()) +
                                                    "; the matrix is for level " +
                                                    std::to_string(domain_.level) + " at degree " +
                                                    std::to_string(parameters_.degree())};
      }
    }
    if (!same_scale(input.scale, domain_.input_scale)) {
      return Error{ErrorCode::kScaleMismatch, input_name(i) + " has scale " + std::to_string(input.scale) +
                                                  "; the matrix is for scale " +
                                                  std::to_string(domain_.input_scale)};
    }
  }
  return {};
}

void ScalarMatrix::multiply(std::size_t limb, std::span<const Ciphertext> inputs,
                            AlignedVector<Ciphertext>& outputs, AlignedVector<Poly>& last) const {
  const ring::Modulus& q = parameters_.ring().modulus(limb);
  const std::size_t tile = ScalarProduct::tile(q, used_.size(), parameters_.degree());
  const std::size_t tiles = parameters_.degree() / tile;
  const bool at_last = limb + 1 == limbs_.size();
  AlignedVector<const u64*> x[2];
  AlignedVector<u64*> out[2];
  for (std::size_t part = 0; part < 2; ++part) {
    x[part].reserve(used_.size());
    for (std::uint32_t input : used_) x[part].push_back(inputs[input].parts[part].data(limb));
    out[part].reserve(order_.size());
    for (std::uint32_t output : order_)
      out[part].push_back(at_last ? last[2 * output + part].data(0) : outputs[output].parts[part].data(limb));
  }
  const Limb& encoded = limbs_[limb];
  parallel_for(2 * tiles, [&](std::size_t job) {
    const std::size_t part = job / tiles, first = job % tiles * tile;
    AlignedVector<u64> scratch(ScalarProduct::scratch_words(used_.size(), tile));
    kernels().scalar_product(q,
                             {blocks_, block_inputs_.data(), encoded.weights.data(), encoded.window_sum,
                              part == 0 ? encoded.bias.data() : nullptr, x[part].data(), used_.size(),
                              out[part].data(), scratch.data(), first},
                             tile);
  });
}

Result<AlignedVector<Ciphertext>> ScalarMatrix::apply(const Evaluator& evaluator,
                                                      std::span<const Ciphertext> inputs,
                                                      const Progress& progress) const {
  TACIT_CHECK(check(evaluator, inputs));
  const std::size_t n = parameters_.degree(), limbs = limbs_.size();
  AlignedVector<Ciphertext> outputs(order_.size());
  AlignedVector<Poly> last;  // of both parts of each output
  last.reserve(2 * outputs.size());
  for (Ciphertext& output : outputs) {
    output.scale = domain_.output_scale;
    output.parts.reserve(2);
    for (std::size_t part = 0; part < 2; ++part) {
      output.parts.emplace_back(n, limbs - 1);
      last.emplace_back(n, 1);
    }
  }
  const auto go_on = [&](std::size_t done) -> Status {
    if (!progress || progress(done, limbs)) return {};
    return Error{ErrorCode::kCancelled, "the product with a scalar matrix was cancelled"};
  };
  for (std::size_t limb = 0; limb < limbs; ++limb) {
    TACIT_CHECK(go_on(limb));
    multiply(limb, inputs, outputs, last);
  }
  TACIT_CHECK(go_on(limbs));
  const std::size_t group = std::clamp<std::size_t>(last.size() / 16, 1, kMaxRescaleGroup);
  parallel_for((last.size() + group - 1) / group, [&](std::size_t g) {
    AlignedVector<SplitPoly> polys;
    polys.reserve(group);
    for (std::size_t i = g * group; i < std::min((g + 1) * group, last.size()); ++i)
      polys.push_back({&outputs[i / 2].parts[i % 2], last[i].data(0)});
    evaluator.switcher().rescale(polys);
  });
  return outputs;
}

KernelCounts ScalarMatrix::counts() const {
  KernelCounts counts;
  for (const ScalarProduct::Block& block : blocks_)
    counts.scalar_limbs += 2 * limbs_.size() * block.outputs * std::size_t{block.inputs};
  counts.pointwise_limbs = 2 * limbs_.size() * used_.size();  // brought into the kernel's order
  for (std::size_t o = 0; o < outputs(); ++o) counts += mod_down_counts(domain_.level, 0, true, 2);
  return counts;
}

std::size_t ScalarMatrix::memory_bytes() const {
  std::size_t bytes = (used_.size() + order_.size() + block_inputs_.size()) * sizeof(std::uint32_t) +
                      blocks_.size() * sizeof(ScalarProduct::Block);
  for (const Limb& limb : limbs_)
    bytes += limb.weights.size() * sizeof(std::int64_t) + limb.bias.size() * sizeof(u64);
  return bytes;
}

}  // namespace tacit::ckks
