// SPDX-License-Identifier: Apache-2.0
// From a network and calibration images to a package that runs it on ciphertexts. docs/compiler.md tells how.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "compiler/calibrate.h"
#include "compiler/record.h"
#include "compiler/report.h"
#include "graph/execute.h"
#include "graph/graph.h"
#include "plan/package.h"

namespace tacit::compiler {

// What the search for parameters and packing aims at: the least time for one image; the most images in a time, each element
// of a tensor being a ciphertext whose slots belong to as many images; or few and small evaluation keys.
enum class Mode { kLatency, kThroughput, kSmallKeys };

struct Options {
  Mode mode = Mode::kLatency;
  std::string name = "model";       // of the model: [a-z0-9][a-z0-9._-]{0,63}
  std::vector<std::string> labels;  // one for each output, or none
  // As the calibration images were preprocessed. Without means and deviations: 0 and 1 for every channel.
  plan::Preprocessing preprocessing;
  double margin = 1.5;        // values are kept this much below 1 on the calibration images; 1 to 16
  std::optional<int> degree;  // of the polynomials that replace activations; else chosen
  double agreement =
      0.99;  // share of calibration images that should keep their largest output, see degrees.h
  ReluMode relu = ReluMode::kAutomatic;
  // Which layers are encrypted, "FIRST:LAST" (partition.h); empty for all. The client computes those before. What comes after
  // is left out, so that its outputs are the last encrypted layer's, or with `client_rest` computed by the client, which then
  // gets those layers' weights.
  std::string layers;
  bool client_rest = false;
  bool refresh = false;  // see PartitionOptions
  // The evaluation keys of a client should fit this; a large network's may not.
  std::uint64_t key_budget = 50'000'000;
  // Bytes that a server may need for the model and one client (MemoryEstimate); 0 for any number.
  std::uint64_t memory_budget = 0;
  Progress progress = [](const std::string&) {};
};

// Standard deviation of the outputs' noise beside the largest calibrated output: scales are grown until it is
// below kNoiseTarget; where the ring's modulus ends before, up to kNoiseLimit is taken rather than a larger
// ring.
inline constexpr double kNoiseTarget = 0x1p-12;
inline constexpr double kNoiseLimit = 0x1p-9;
// The plan in the clear reproduces the network on the calibration images, beside the largest output.
inline constexpr double kClearTolerance = 1e-6;

struct Compiled {
  plan::Package package;
  Report report;
  std::vector<ActivationFit> fits;
  double relative_error = 0;  // of the network with polynomials, see Calibration
  double agreement = 1;
  double clear_error = 0;  // of the plan in the clear, beside the largest output
  double noise = 0;        // predicted for encryption, as kNoiseTarget
  // How the parameters were found, and the above; its accuracy is still to be measured (measure_accuracy), with the graph that
  // was compiled and the polynomials of its nodes.
  Record record;
  graph::Graph graph;
  Approximations approximations;
};

// The smallest ring that holds the network's values and levels is taken. Errors: those of graph::validate;
// compile.range-missing, compile.calibration, compile.unsupported, compile.too-wide, compile.too-deep,
// compile.memory, compile.precision, compile.internal; argument.invalid for options that cannot be. Messages name the node.
Result<Compiled> compile(const graph::Graph& graph, std::span<const graph::Tensor> calibration,
                         const Options& options);

}  // namespace tacit::compiler
