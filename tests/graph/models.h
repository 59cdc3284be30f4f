// SPDX-License-Identifier: Apache-2.0
// Access to the models that make_models.py writes, and comparing tensors.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/npy.h"
#include "graph/execute.h"
#include "graph/import.h"

namespace tacit::graph {

inline std::filesystem::path good_path(const std::string& name) {
  return std::filesystem::path(TACIT_GRAPH_MODELS) / "good" / (name + ".onnx");
}
inline std::filesystem::path bad_path(const std::string& name) {
  return std::filesystem::path(TACIT_GRAPH_MODELS) / "bad" / (name + ".onnx");
}

inline std::vector<std::string> good_names() {
  std::ifstream list(std::filesystem::path(TACIT_GRAPH_MODELS) / "good.txt");
  std::vector<std::string> names;
  for (std::string name; std::getline(list, name);) names.push_back(name);
  return names;
}

// Images of `shape` from an array whose first axis counts them.
inline std::vector<Tensor> to_tensors(const NpyArray& array, const Shape& shape) {
  std::vector<Tensor> tensors;
  auto size = static_cast<std::size_t>(shape.size());
  for (std::size_t at = 0; at + size <= array.data.size(); at += size) {
    auto from = array.data.begin() + static_cast<std::ptrdiff_t>(at);
    tensors.push_back({shape, {from, from + static_cast<std::ptrdiff_t>(size)}});
  }
  return tensors;
}

// Every element within `tolerance` of its own size and a tenth of that of the largest.
inline void expect_close(const std::vector<float>& found, const std::vector<float>& wanted,
                         double tolerance) {
  ASSERT_EQ(found.size(), wanted.size());
  double largest = 0;
  for (float value : wanted) largest = std::max(largest, std::abs(double{value}));
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    double allowed = tolerance * (std::abs(wanted[i]) + 0.1 * largest);
    ASSERT_LE(std::abs(double{found[i]} - wanted[i]), allowed)
        << "element " << i << ": " << found[i] << " for " << wanted[i];
  }
}

}  // namespace tacit::graph
