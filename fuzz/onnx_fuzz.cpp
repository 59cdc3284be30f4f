// SPDX-License-Identifier: Apache-2.0
// ONNX files: a model that is taken is a sound graph, before and after it is made simpler, and runs where it is small.
#include "graph/execute.h"
#include "graph/import.h"
#include "graph/simplify.h"
#include "target.h"

namespace tacit::fuzz {
namespace {

// Whether running it takes no more than a moment.
bool is_small(const graph::Graph& graph) {
  std::int64_t work = graph.input_shape().size();
  for (const graph::Node& node : graph.nodes) {
    std::int64_t each = 1;
    if (const auto* conv = std::get_if<graph::Conv>(&node.operation))
      each = conv->in_channels * conv->kernel.height * conv->kernel.width;
    if (const auto* dense = std::get_if<graph::Dense>(&node.operation)) each = dense->in;
    if (const auto* pool = std::get_if<graph::AveragePool>(&node.operation))
      each = pool->kernel.height * pool->kernel.width;
    if (const auto* pool = std::get_if<graph::MaxPool>(&node.operation))
      each = pool->kernel.height * pool->kernel.width;
    if (each > 1 << 20) return false;
    work += each * graph.shape_of(node.output).size();
    if (work > 1 << 20) return false;
  }
  return true;
}

TACIT_FUZZ_TARGET(onnx) {
  auto read = graph::import_onnx(input);
  if (!accepted(read)) return;
  require(accepted(graph::validate(*read)), "an imported graph is sound");
  const bool small = is_small(*read);
  const graph::Graph simple = graph::simplify(*read);
  require(accepted(graph::validate(simple)), "a graph made simpler is sound");
  require(simple.input_shape() == read->input_shape() && simple.output_shape() == read->output_shape(),
          "a graph made simpler has the same ends");
  if (!small) return;
  const graph::Shape& shape = read->input_shape();
  const graph::Tensor image{shape, std::vector<float>(static_cast<std::size_t>(shape.size()), 0.25f)};
  const auto outputs = graph::execute(*read, image);
  const auto simple_outputs = graph::execute(simple, image);
  require(accepted(outputs) == accepted(simple_outputs), "both run or neither");
  if (outputs.ok()) require(outputs->shape == simple_outputs->shape, "both have as many outputs");
}

}  // namespace
}  // namespace tacit::fuzz
