// SPDX-License-Identifier: Apache-2.0
// Random networks (random_models.py) compute what PyTorch computes, as they are and simplified. A file is
// named by its seed.
#include <gtest/gtest.h>

#include "graph/models.h"
#include "graph/simplify.h"

namespace tacit::graph {
namespace {

void expect_outputs(const Graph& graph, const std::vector<Tensor>& inputs, const std::vector<float>& wanted) {
  Result<std::vector<Tensor>> outputs = execute_batch(graph, inputs);
  ASSERT_TRUE(outputs.ok()) << outputs.error().to_line();
  std::vector<float> found;
  for (Tensor& output : *outputs) {
    Tensor shown = apply(graph.output_function, std::move(output));
    found.insert(found.end(), shown.data.begin(), shown.data.end());
  }
  expect_close(found, wanted, 2e-4);
}

TEST(RandomModels, ComputeWhatPyTorchComputes) {
  std::size_t count = 0;
  for (const auto& file :
       std::filesystem::directory_iterator(good_path("x").parent_path().parent_path() / "random")) {
    std::filesystem::path path = file.path();
    if (path.extension() != ".onnx") continue;
    SCOPED_TRACE("seed " + path.stem().string());
    Result<Graph> graph = load_onnx(path);
    ASSERT_TRUE(graph.ok()) << graph.error().to_line();
    Result<NpyArray> input = load_npy(path.replace_extension("input.npy"));
    Result<NpyArray> output = load_npy(path.replace_extension().replace_extension("output.npy"));
    ASSERT_TRUE(input.ok() && output.ok());
    const Shape& shape = graph->input_shape();
    ASSERT_EQ(input->shape, (std::vector<std::int64_t>{3, shape.channels, shape.height, shape.width}));
    std::vector<Tensor> inputs = to_tensors(*input, shape);
    expect_outputs(*graph, inputs, output->data);
    Graph simple = simplify(*graph);
    ASSERT_TRUE(validate(simple).ok()) << validate(simple).error().to_line();
    expect_outputs(simple, inputs, output->data);
    if (HasFailure()) return;
    ++count;
  }
  EXPECT_GE(count, 200u);
}

}  // namespace
}  // namespace tacit::graph
