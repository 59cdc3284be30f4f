// SPDX-License-Identifier: Apache-2.0
// Reference execution in the clear: float32 activations, every sum accumulated in double precision.
#pragma once

#include <span>
#include <vector>

#include "graph/graph.h"

namespace tacit::graph {

// One image's activation.
struct Tensor {
  Shape shape;
  std::vector<float> data;  // shape.size() elements, row-major (channel, row, column)
};

// A graph made ready to be run many times; run() may be called from several threads at once.
class Executor {
 public:
  // graph.invalid for one that does not satisfy validate(). Keeps a pointer to `graph`, which must outlive
  // it.
  static Result<Executor> create(const Graph& graph);

  // The value of Graph::output, before Graph::output_function. tensor.shape unless `input` has the graph's
  // input shape; inputs that are not finite are computed with like any others.
  Result<Tensor> run(const Tensor& input) const;
  // Every value, indexed by ValueId; the first is the input.
  Result<std::vector<Tensor>> run_all(const Tensor& input) const;

 private:
  explicit Executor(const Graph& graph);
  Status check_input(const Tensor& input) const;
  Tensor run_node(std::size_t node, const std::vector<Tensor>& values) const;

  const Graph* graph_;
  std::vector<std::vector<double>>
      weights_;                        // by node: rearranged for the inner loops; empty where there are none
  std::vector<std::size_t> last_use_;  // by value: the last node that reads it
};

// One image; the same as Executor::run and run_all.
Result<Tensor> execute(const Graph& graph, const Tensor& input);
Result<std::vector<Tensor>> execute_all(const Graph& graph, const Tensor& input);

// The outputs for many images, computed in parallel over them, in their order.
Result<std::vector<Tensor>> execute_batch(const Graph& graph, std::span<const Tensor> inputs);

// What the model's user sees: softmax or log-softmax over all elements, the index of the largest as one
// element, or the tensor itself.
Tensor apply(OutputFunction function, Tensor tensor);

}  // namespace tacit::graph
