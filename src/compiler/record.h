// SPDX-License-Identifier: Apache-2.0
// What only the compiler knew: how parameters were chosen and what the network was measured to lose. It travels in the model
// owner's part of the package (plan::Package::record), so that a model can be reported on again.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "compiler/accuracy.h"
#include "compiler/calibrate.h"

namespace tacit::compiler {

// One ring size that the search came to, smallest first.
struct RingTrial {
  int log_degree = 0;
  int log_limit = 0;   // largest log2 QP that is secure (ckks::max_log_modulus)
  int scale_bits = 0;  // of the best plan there; 0 where there was none, as all below
  double log_qp = 0;
  double noise = 0;          // as Compiled::noise
  std::uint64_t memory = 0;  // as MemoryEstimate::total
  bool taken = false;
  std::string verdict;  // why it was taken or not
};

struct Record {
  std::size_t images = 0;  // calibrated with
  int depth = 0;           // levels that the network needs
  double noise_target = 0, noise_limit = 0;
  std::uint64_t memory_budget = 0;  // 0: none
  std::vector<RingTrial> trials;
  std::vector<ActivationFit> fits;
  double relative_error = 0, agreement = 1;  // as Calibration
  double noise = 0, clear_error = 0;         // as Compiled
  Accuracy accuracy;
};

// Deterministic.
std::string to_json(const Record& record);
// data.malformed where the text is no record; its numbers are finite, its lists not absurdly long.
Result<Record> record_from_json(std::string_view text);

}  // namespace tacit::compiler
