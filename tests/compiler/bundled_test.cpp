// SPDX-License-Identifier: Apache-2.0
// The bundled models. Their weights may be trained anew, their structure is what the budgets are for.
#include <filesystem>

#include "base/idx.h"
#include "graph/import.h"
#include "networks.h"

namespace tacit::compiler {
namespace {

struct Bundled {
  const char* name;    // models/NAME/NAME.onnx
  const char* images;  // IDX file of grey images to calibrate on
  float mean, deviation;
  std::size_t ring_degree;
  int max_log_qp;
  int levels;
  std::uint64_t products;
  std::uint64_t max_key_bytes, max_upload_bytes;
};

void PrintTo(const Bundled& bundled, std::ostream* out) { *out << bundled.name; }

// At most 128 images of the file; where it is not installed, noise between their bounds.
std::vector<graph::Tensor> images(const Bundled& bundled) {
  const auto value = [&](int pixel) {
    return (static_cast<float>(pixel) / 255 - bundled.mean) / bundled.deviation;
  };
  if (!std::filesystem::exists(bundled.images)) {
    std::vector<graph::Tensor> noise = test::random_images({1, 28, 28}, 128);
    for (graph::Tensor& image : noise)
      for (float& x : image.data) x = std::clamp(x, value(0), value(255));
    return noise;
  }
  const auto file = load_idx_images(bundled.images);
  EXPECT_TRUE(file.ok());
  std::vector<graph::Tensor> result(std::min<std::size_t>(file->count, 128));
  for (std::size_t i = 0; i < result.size(); ++i) {
    result[i].shape = {1, 28, 28};
    for (std::size_t j = 0; j < 784; ++j) result[i].data.push_back(value(file->pixels[i * 784 + j]));
  }
  return result;
}

class BundledModel : public testing::TestWithParam<Bundled> {};

TEST_P(BundledModel, KeepsItsBudgets) {
  const Bundled& bundled = GetParam();
  const std::string path =
      std::string(TACIT_SOURCE_DIR "/models/") + bundled.name + "/" + bundled.name + ".onnx";
  const auto graph = graph::load_onnx(path);
  ASSERT_TRUE(graph.ok()) << graph.error().to_line();
  const auto calibration = images(bundled);
  const auto result = compile(*graph, calibration, Options{});
  ASSERT_TRUE(result.ok()) << result.error().to_line();
  EXPECT_EQ(result->report.ring_degree, bundled.ring_degree);
  EXPECT_LE(result->report.log_qp, bundled.max_log_qp);
  EXPECT_EQ(result->report.levels, bundled.levels);
  EXPECT_EQ(result->report.products, bundled.products);
  EXPECT_LE(result->report.key_bytes, bundled.max_key_bytes);
  EXPECT_LE(result->report.upload_bytes, bundled.max_upload_bytes);
  EXPECT_LE(result->noise, 0x1p-11);
  const std::vector<graph::Tensor> some(calibration.begin(), calibration.begin() + 4);
  // Polynomials stand for other activations than squares.
  if (result->fits.empty()) { EXPECT_LT(test::clear_difference(result->package, *graph, some), 1e-5); }
  EXPECT_GE(result->agreement, 0.98);
  EXPECT_LT(test::noise_difference(result->package, some), 0x1p-8);
}

constexpr const char* kClothes = "/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz";
constexpr const char* kDigits = TACIT_SOURCE_DIR "/tests/images/mnist/t10k-images-idx3-ubyte.gz";

// Few and small keys, whatever it takes in time.
TEST(SmallKeys, OfCryptoNetsAreAFewMegabytes) {
  const auto graph = graph::load_onnx(TACIT_SOURCE_DIR "/models/cryptonets/cryptonets.onnx");
  ASSERT_TRUE(graph.ok()) << graph.error().to_line();
  const auto calibration = images({"cryptonets", kDigits, 0.1307f, 0.3081f, 0, 0, 0, 0, 0, 0});
  Options options;
  options.mode = Mode::kSmallKeys;
  const auto result = compile(*graph, calibration, options);
  ASSERT_TRUE(result.ok()) << result.error().to_line();
  EXPECT_LE(result->report.key_bytes, 5'000'000u);
  EXPECT_LE(result->package.plan.keys.size(), 8u);
  EXPECT_EQ(result->report.ring_degree, 8192u);
  EXPECT_LE(result->noise, 0x1p-11);
  const std::vector<graph::Tensor> some(calibration.begin(), calibration.begin() + 4);
  EXPECT_LT(test::clear_difference(result->package, *graph, some), 1e-5);
  EXPECT_LT(test::noise_difference(result->package, some), 0x1p-8);
}

INSTANTIATE_TEST_SUITE_P(
    Models, BundledModel,
    testing::Values(Bundled{"fashion_mnist", kClothes, 0.2860f, 0.3530f, 8192, 214, 5, 2, 50'000'000,
                            500'000},
                    Bundled{"cryptonets", kDigits, 0.1307f, 0.3081f, 8192, 214, 5, 2, 30'000'000, 200'000},
                    Bundled{"lenet5", kDigits, 0.1307f, 0.3081f, 16384, 430, 9, 4, 120'000'000, 700'000},
                    Bundled{"lenet1", kDigits, 0.1307f, 0.3081f, 16384, 430, 10, 11, 200'000'000, 900'000}),
    [](const auto& model) { return std::string(model.param.name); });

}  // namespace
}  // namespace tacit::compiler
