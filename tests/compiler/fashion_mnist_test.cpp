// SPDX-License-Identifier: Apache-2.0
// The bundled model. Its weights may be trained anew, its structure is what the budgets are for.
#include <filesystem>

#include "base/idx.h"
#include "graph/import.h"
#include "networks.h"

namespace tacit::compiler {
namespace {

constexpr const char* kDataset = "/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz";

// Clothes where they are installed, else noise between their bounds.
std::vector<graph::Tensor> images(std::size_t count) {
  std::vector<graph::Tensor> result = test::random_images({1, 28, 28}, count);
  for (graph::Tensor& image : result)
    for (float& x : image.data) x = std::clamp(x, -0.81f, 2.02f);
  if (!std::filesystem::exists(kDataset)) return result;
  const auto file = load_idx_images(kDataset);
  EXPECT_TRUE(file.ok());
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t j = 0; j < 784; ++j)
      result[i].data[j] = (static_cast<float>(file->pixels[i * 784 + j]) / 255 - 0.2860f) / 0.3530f;
  return result;
}

TEST(FashionMnist, KeepsItsBudgets) {
  const auto graph = graph::load_onnx(TACIT_SOURCE_DIR "/models/fashion_mnist/fashion_mnist.onnx");
  ASSERT_TRUE(graph.ok()) << graph.error().to_line();
  const auto calibration = images(128);
  Options options;
  options.name = "fashion-mnist";
  const auto result = compile(*graph, calibration, options);
  ASSERT_TRUE(result.ok()) << result.error().to_line();
  EXPECT_EQ(result->report.ring_degree, 8192u);
  EXPECT_LE(result->report.log_qp, 214);
  EXPECT_EQ(result->report.levels, 5);
  EXPECT_EQ(result->report.products, 2u);
  EXPECT_LE(result->report.key_bytes, 50'000'000u);
  EXPECT_LE(result->report.upload_bytes, 500'000u);
  EXPECT_LE(result->noise, 0x1p-11);
  const std::vector<graph::Tensor> some(calibration.begin(), calibration.begin() + 4);
  EXPECT_LT(test::clear_difference(result->package, *graph, some), 1e-5);
  EXPECT_LT(test::noise_difference(result->package, some), 0x1p-8);
}

}  // namespace
}  // namespace tacit::compiler
