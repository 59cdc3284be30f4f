// SPDX-License-Identifier: Apache-2.0
// What a compiled model needs and costs, for people and for scripts; all of it can be had from the package.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "plan/package.h"
#include "runtime/flooding.h"
#include "runtime/memory.h"

namespace tacit::compiler {

struct LayerReport {
  std::string name;     // of the ONNX node it ends with
  std::string kind;     // "linear", "square", "polynomial", "add", "rescaling"
  plan::Layout layout;  // of its result
  std::size_t period = 0;
  std::size_t ciphertexts = 1;  // that hold its result
  int level = 0;                // of its input
  int level_after = 0;          // of its result; plan::kClear where that is never encrypted
  double scale_bits = 0;        // log2 of its result's scale
  std::uint64_t rotations = 0, products = 0, diagonals = 0;
  std::uint64_t babies = 0, giants = 0, folds = 0;  // rotations by their place; complex folding is the rest
  double estimated_ms = 0;
};

// What the client learns and computes beside the input and the output: a model owner should know.
struct ClientView {
  std::string name;           // of the value, or of the layer
  std::string function;       // that the client computes of it, "Relu", "MaxPool", "sum", "linear"
  plan::Shape shape;          // of what it decrypts or computes with
  bool decrypted = false;     // it sees numbers of the network's inside
  std::uint64_t weights = 0;  // published: of a layer that it computes
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
  std::size_t batch = 1;    // images that one run takes
  runtime::MemoryEstimate memory;
  std::vector<ClientView> client;
  // Of each value that leaves the server, under its default settings: what is added to hide how it was computed.
  std::vector<std::pair<std::string, runtime::Flooding>> results;
};

// Times are those of the machine that compiled: the estimate in the client half, shared out to the layers.
Result<Report> describe(const plan::Package& package);

// Fills in what ClientHalf says about costs; measures this machine for the estimate.
Status fill_costs(plan::Package& package);

}  // namespace tacit::compiler
