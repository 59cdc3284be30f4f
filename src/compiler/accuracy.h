// SPDX-License-Identifier: Apache-2.0
// What a network loses on its way to ciphertexts, on calibration images: by its polynomials, by the noise of encryption, and
// in which layer most of it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "compiler/reference.h"
#include "graph/execute.h"
#include "plan/package.h"

namespace tacit::compiler {

// Of outputs beside those they should be, over all elements of all images, in the network's own unit.
struct OutputError {
  double largest = 0;
  double mean = 0;  // of |error|
  // Of precision that are left: log2(largest output / root mean square error), 0 to kMostBits.
  double bits = 0;
};
inline constexpr double kMostBits = 53;

// One form of the network on some of the images.
struct NetworkAccuracy {
  std::size_t images = 0;    // 0: not measured
  std::size_t right = 0;     // largest output is the label's; only where there are labels
  std::size_t agreeing = 0;  // largest output is the original network's
  OutputError from_original;
  OutputError from_polynomial;  // what encryption adds; 0 for the first two forms
};

// What one layer costs, alone: the root mean square error of the outputs beside the largest output.
struct LayerLoss {
  std::string name;       // of the value it makes; the input's name for its encryption
  double polynomial = 0;  // if only this activation is a polynomial
  double noise = 0;       // if only this operation is noisy
  // What has gathered up to here: of the value itself, beside the largest number it has.
  double polynomial_so_far = 0, noise_so_far = 0;

  double largest() const { return polynomial > noise ? polynomial : noise; }
};

struct Accuracy {
  bool labelled = false;
  double largest_output = 0;  // of the original network
  NetworkAccuracy original, polynomial, simulated, encrypted;
  std::vector<LayerLoss> layers;  // in the plan's order, the encryption of the input first
  // The layer where most is lost; null where nothing is.
  const LayerLoss* worst() const;
};

// What the other forms are compared with.
struct OutputReference {
  std::vector<Elements> original, polynomial;  // one for each image
  std::vector<std::size_t> labels;             // one for each image, or none
  double largest_output = 1;
};

// A compiled network and images to measure it on. The graph is the one whose nodes the approximations are counted by.
struct Subject {
  const graph::Graph& graph;
  const Approximations& approximations;
  const plan::Package& package;
  std::span<const graph::Tensor> images;
  std::span<const std::size_t> labels = {};  // as many as images, or none
};

OutputReference make_reference(const Subject& subject);

// `outputs` are those of the images at the indices `which` (ascending or not), in their order.
NetworkAccuracy compare_outputs(const OutputReference& reference, std::span<const std::size_t> which,
                                std::span<const std::vector<float>> outputs);

// `count` of `total` images at even distances; all where there are fewer.
std::vector<std::size_t> spread(std::size_t total, std::size_t count);

// Everything but `encrypted`. All images run through the original and the polynomial network; how many are simulated depends
// on the size of the plan, and on nothing else, so that the same network always gives the same answer. Errors of
// runtime::simulate.
Result<Accuracy> measure_accuracy(const Subject& subject, const OutputReference& reference);

}  // namespace tacit::compiler
