// SPDX-License-Identifier: Apache-2.0
// What a compiled model needs and costs, for people and for scripts; all of it can be had from the package.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plan/package.h"

namespace tacit::compiler {

struct LayerReport {
  std::string name;     // of the ONNX node it ends with
  std::string kind;     // "linear", "square", "polynomial", "add", "rescaling"
  plan::Layout layout;  // of its result
  std::size_t period = 0;
  int level = 0;  // of its input
  std::uint64_t rotations = 0, products = 0, diagonals = 0;
  double estimated_ms = 0;
};

struct Report {
  std::string name;
  std::vector<LayerReport> layers;
  std::size_t ring_degree = 0;
  double log_qp = 0;  // log2 of all primes' product
  int scale_bits = 0;
  int levels = 0;  // that a prediction takes
  std::uint64_t rotations = 0;
  std::uint64_t products = 0;  // of two ciphertexts
  std::uint64_t keys = 0, key_bytes = 0, upload_bytes = 0, download_bytes = 0;
  double estimated_ms = 0;  // server time with all cores
};

// Times are those of the machine that compiled: the estimate in the client half, shared out to the layers.
Result<Report> describe(const plan::Package& package);

// Fills in what ClientHalf says about costs; measures this machine for the estimate.
Status fill_costs(plan::Package& package);

}  // namespace tacit::compiler
