// SPDX-License-Identifier: Apache-2.0
// A compiled model ready to run on ciphertexts: what the server and `tacit run` share.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "ckks/parameters.h"
#include "ckks/wire.h"
#include "plan/package.h"
#include "plan/stages.h"
#include "runtime/flooding.h"

namespace tacit::runtime {

// The ciphertexts of a value; at least one, all of one level and scale.
using CipherVector = AlignedVector<ckks::Ciphertext>;

// Called between operations with how many are done; returning false cancels the run.
using Progress = std::function<bool(std::size_t done, std::size_t total)>;

// Immutable after loading; any number of runs may go on at once. Loading encodes all diagonals.
class Model {
 public:
  // Results are re-randomised where `options` say so; keys.missing for a package whose keys do not allow it.
  static Result<std::shared_ptr<const Model>> load(const std::filesystem::path& path,
                                                   const FloodingOptions& options = {});
  static Result<std::shared_ptr<const Model>> create(plan::Package package,
                                                     const FloodingOptions& options = {});
  ~Model();

  const std::string& name() const { return client_half().name; }
  const plan::ClientHalf& client_half() const;
  // The client half as JSON, made once.
  const std::string& client_json() const;
  const plan::Plan& plan() const;
  const ckks::Parameters& parameters() const;
  // Bytes of encoded diagonals in memory.
  std::size_t memory_bytes() const;
  // What one run takes up beside it at most, about, with one client's evaluation keys (runtime/memory.h).
  std::uint64_t run_bytes() const;
  // The layer that a stage is in when so many of its operations are done, by its name in the network.
  const std::string& layer_name(std::size_t stage, std::size_t done) const;

  // kKeyMissing, naming the first one, unless `keys` has all that the plan needs.
  Status check_keys(const ckks::EvaluationKeys& keys) const;
  // The stages of the plan: what one request runs. Most models have one.
  const std::vector<plan::Stage>& stages() const;
  // For each ciphertext that a stage takes its value; and the same for what it makes.
  std::vector<plan::ValueId> input_ciphertexts(std::size_t stage) const;
  std::vector<plan::ValueId> output_ciphertexts(std::size_t stage) const;
  // Of each output of a stage.
  const std::vector<Flooding>& flooding(std::size_t stage) const;
  // Runs a stage; its outputs hold 0 in the slots without an element, are dropped to plan::result_level, and are re-randomised as
  // flooding() says. The inputs must have their values' levels and scales (kLevelMismatch, kScaleMismatch) and two parts, and
  // be as many as input_ciphertexts says (kDataMalformed); kInvalidArgument for a stage that does not exist.
  Result<CipherVector> run(const ckks::EvaluationKeys& keys, std::size_t stage, CipherVector input,
                           const Progress& progress = {}) const;
  // The same on the bytes of protocol/bytes.md: fresh or computed ciphertexts in, computed ones out. `tag` is the key
  // tag that the evaluation keys carry; a ciphertext under another key is refused with kParametersMismatch.
  Result<std::vector<Bytes>> run(const ckks::EvaluationKeys& keys, const ckks::KeyTag& tag, std::size_t stage,
                                 std::span<const ByteView> input, const Progress& progress = {}) const;

 private:
  struct State;
  explicit Model(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tacit::runtime
