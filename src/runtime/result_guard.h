// SPDX-License-Identifier: Apache-2.0
// The last thing that happens to a result before it leaves the server: nothing but its elements stays in it.
#pragma once

#include "runtime/cipher.h"
#include "runtime/flooding.h"

namespace tacit::runtime {

// Immutable; safe to share between threads.
class ResultGuard {
 public:
  // Both must outlive it; `stages` are the plan's. kKeyMissing where results are to be re-randomised and none of the plan's keys
  // serves for it.
  static Result<ResultGuard> create(const EncodedPlan& encoded, const std::vector<plan::Stage>& stages,
                                    const FloodingOptions& options);

  // Output number `output` of a stage: dropped to its level, what unused slots hold taken away, re-randomised. kEntropy.
  Result<CipherVector> apply(std::size_t stage, std::size_t output, CipherVector result,
                             const ckks::EvaluationKeys& keys) const;
  const std::vector<Flooding>& flooding(std::size_t stage) const { return flooding_[stage]; }

 private:
  struct Output {
    int level = 0;
    // To be added, for each ciphertext; or none.
    std::vector<ckks::Plaintext> correction;
  };
  explicit ResultGuard(const EncodedPlan& encoded) : encoded_(&encoded) {}
  Result<Output> prepare(const plan::Value& value, int level, double unused) const;

  const EncodedPlan* encoded_;
  std::vector<std::vector<Output>> outputs_;     // by stage and output
  std::vector<std::vector<Flooding>> flooding_;  // likewise
};

}  // namespace tacit::runtime
