// SPDX-License-Identifier: Apache-2.0
// A ReLU ResNet-20 as PyTorch exported it, from the test data that is not part of the project.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "graph/models.h"
#include "graph/simplify.h"

namespace tacit::graph {
namespace {

TEST(ResNet20, ComputesInTheClearWhatPyTorchComputes) {
  const char* data = std::getenv("TACIT_TEST_DATA");
  if (data == nullptr) GTEST_SKIP() << "TACIT_TEST_DATA is not set";
  const auto model = std::filesystem::path(data) / "models" / "resnet20_cifar10_pre.onnx";
  if (!std::filesystem::exists(model)) GTEST_SKIP() << model << " is not there";

  Result<Graph> graph = load_onnx(model);
  ASSERT_TRUE(graph.ok()) << graph.error().to_line();
  ASSERT_EQ(graph->input_shape(), (Shape{3, 32, 32}));
  ASSERT_EQ(graph->output_shape(), (Shape{10, 1, 1}));

  const std::uint32_t seed = 20240613;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::normal_distribution<float> pixels(0, 1);
  const std::vector<std::int64_t> dims = {4, 3, 32, 32};
  std::vector<float> images(4 * 3 * 32 * 32);
  for (float& pixel : images) pixel = pixels(random);
  const std::filesystem::path folder = std::filesystem::path(TACIT_GRAPH_MODELS);
  const std::filesystem::path input = folder / "resnet20.input.npy", output = folder / "resnet20.output.npy";
  ASSERT_TRUE(save_npy(input, dims, images).ok());
  std::filesystem::remove(output);
  const std::string command = "OMP_NUM_THREADS=1 /usr/bin/python3 -B " TACIT_SOURCE_DIR
                              "/tests/graph/torch_evaluator.py '" +
                              model.string() + "' '" + input.string() + "' '" + output.string() + "'";
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  Result<NpyArray> wanted = load_npy(output);
  ASSERT_TRUE(wanted.ok()) << wanted.error().to_line();

  const std::vector<Tensor> inputs = to_tensors({dims, images}, graph->input_shape());
  for (const Graph& network : {*graph, simplify(*graph)}) {
    Result<std::vector<Tensor>> outputs = execute_batch(network, inputs);
    ASSERT_TRUE(outputs.ok()) << outputs.error().to_line();
    std::vector<float> found;
    for (const Tensor& tensor : *outputs) found.insert(found.end(), tensor.data.begin(), tensor.data.end());
    expect_close(found, wanted->data, 1e-4);
  }
}

}  // namespace
}  // namespace tacit::graph
