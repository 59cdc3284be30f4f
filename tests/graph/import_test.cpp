// SPDX-License-Identifier: Apache-2.0
#include "graph/import.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "graph/models.h"
#include "graph/operators.h"
#include "graph/simplify.h"

namespace tacit::graph {
namespace {

void expect_one_line(const Error& error) {
  EXPECT_FALSE(error.message.empty());
  for (char c : error.message)
    EXPECT_FALSE(static_cast<unsigned char>(c) < 0x20 || c == 0x7F) << error.message;
  EXPECT_LT(error.message.size(), 1000u);
}

Bytes bytes_of(const std::filesystem::path& path) {
  Result<Bytes> bytes = read_file(path, kMaxModelBytes);
  EXPECT_TRUE(bytes.ok()) << path;
  return bytes.ok() ? *bytes : Bytes{};
}

struct BadModel {
  std::string name;
  ErrorCode code;
  std::vector<std::string> words;  // all of which the message has
};

void PrintTo(const BadModel& bad, std::ostream* out) { *out << bad.name; }

using enum ErrorCode;
const BadModel kBadModels[] = {
    {"empty", kOnnxMalformed, {"not an ONNX model"}},
    {"text", kOnnxMalformed, {"not an ONNX model"}},
    {"no_graph", kOnnxMalformed, {"no graph"}},
    {"opset8", kOnnxOpset, {"8", "9 to 17"}},
    {"opset18", kOnnxOpset, {"18", "9 to 17"}},
    {"opset_missing", kOnnxMalformed, {"operator set"}},
    {"external_data", kOnnxExternalData, {"\"w\"", "one file"}},

    {"two_inputs", kOnnxMultipleInputs, {"\"left\"", "\"right\""}},
    {"no_input", kOnnxInput, {"no input"}},
    {"dynamic_height", kOnnxDynamicShape, {"\"x\"", "[n, 2, rows, 6]", "height"}},
    {"dynamic_width", kOnnxDynamicShape, {"\"x\"", "[n, 2, 6, ?]", "width"}},
    {"dynamic_zero", kOnnxDynamicShape, {"\"x\"", "height"}},
    {"no_shape", kOnnxDynamicShape, {"\"x\""}},
    {"scalar_input", kOnnxInput, {"[n]", "[N, channels, height, width]", "[N, features]"}},
    {"video_input", kOnnxInput, {"[n, 3, 8, 8, 8]", "[N, channels, width]"}},
    {"dynamic_length", kOnnxDynamicShape, {"\"x\"", "[n, 3, frames]", "width"}},
    {"byte_input", kOnnxUnsupportedType, {"\"x\"", "uint8", "float32"}},
    {"huge_input", kOnnxTooLarge, {"\"x\"", "1099511627776"}},
    {"two_outputs", kOnnxOutput, {"\"y\"", "\"z\""}},
    {"constant_output", kOnnxOutput, {"\"y\"", "does not depend"}},
    {"missing_output", kOnnxMalformed, {"\"y\"", "does not exist"}},

    {"cycle", kOnnxMalformed, {"node \"first\" (Add)", "own output"}},
    {"missing_tensor", kOnnxMalformed, {"node \"sum\" (Add)", "\"nowhere\""}},
    {"duplicate_output", kOnnxMalformed, {"node \"two\" (Tanh)", "\"z\""}},
    {"duplicate_initializer", kOnnxMalformed, {"\"w\""}},
    {"too_few_inputs", kOnnxMalformed, {"node \"stem\" (Conv)", "1 input ", "2 to 3"}},
    {"too_many_inputs", kOnnxMalformed, {"node #0 (Relu)", "2 inputs"}},
    {"short_weights", kOnnxMalformed, {"\"w\"", "288", "284"}},
    {"negative_dimension", kOnnxMalformed, {"\"w\"", "-4"}},
    {"attribute_type", kOnnxMalformed, {"node \"stem\" (Conv)", "\"group\""}},
    {"control_characters", kOnnxUnsupportedOperator, {"node \"norm???xxx", "(LRN)", "batch normalisation"}},
    {"gather_outside", kOnnxMalformed, {"node \"pick\" (Gather)", "9"}},

    {"nan_weights", kOnnxWeightsNotFinite, {"\"w\""}},
    {"infinite_weights", kOnnxWeightsNotFinite, {"\"w\""}},
    {"double_beyond_float", kOnnxWeightsNotFinite, {"\"w\""}},
    {"nan_constant", kOnnxWeightsNotFinite, {"node \"konst\" (Constant)"}},
    {"division_by_zero", kOnnxWeightsNotFinite, {"node \"ratio\" (Div)", "division by zero"}},
    {"negative_variance", kOnnxWeightsNotFinite, {"node \"norm\" (BatchNormalization)"}},
    {"quantised_weights", kOnnxUnsupportedType, {"\"w\"", "int8", "float32"}},
    {"half_weights", kOnnxUnsupportedType, {"\"w\"", "float16"}},

    {"conv_channels", kOnnxShape, {"node \"stem\" (Conv)", "4x3x3x3", "2x6x6"}},
    {"conv_groups", kOnnxShape, {"node \"stem\" (Conv)", "3 groups", "4 output"}},
    {"conv_bias", kOnnxShape, {"node \"stem\" (Conv)", "bias 5", "4x2x3x3"}},
    {"conv_kernel_shape", kOnnxShape, {"node \"stem\" (Conv)", "5x5", "4x2x3x3"}},
    {"conv_1d", kOnnxShape, {"node \"stem\" (Conv)", "4x2x3", "1x2x6x6"}},
    {"conv_too_large", kOnnxShape, {"node \"stem\" (Conv)", "7x7", "2x6x6"}},
    {"conv_huge_stride", kOnnxUnsupportedAttribute, {"node \"stem\" (Conv)", "strides"}},
    {"conv_huge_pads", kOnnxShape, {"node \"stem\" (Conv)", "padding"}},
    {"conv_same_and_pads", kOnnxMalformed, {"node \"stem\" (Conv)", "auto_pad"}},
    {"gemm_size", kOnnxShape, {"node \"fc\" (Gemm)", "1x72", "71x5"}},
    {"gemm_unflattened", kOnnxShape, {"node \"fc\" (Gemm)", "1x2x6x6", "72x5"}},
    {"gemm_bias", kOnnxShape, {"node \"fc\" (Gemm)", "constant of 4", "1x5"}},
    {"matmul_rows", kOnnxUnsupportedOperator, {"node \"attention\" (MatMul)", "1x2x6x6", "flatten"}},
    {"add_shapes", kOnnxShape, {"node \"sum\" (Add)", "1x2x6x6", "1x4x4x4", "squeeze-and-excitation"}},
    {"add_constant", kOnnxShape, {"node \"sum\" (Add)", "1x2x6x6", "3x1x1"}},
    {"add_enlarges", kOnnxShape, {"node \"sum\" (Add)", "1x2x1x1", "2x4x4"}},
    {"add_batch", kOnnxShape, {"node \"sum\" (Add)", "3x2x6x6"}},
    {"norm_size", kOnnxShape, {"node \"norm\" (BatchNormalization)", "scale 3", "1x2x6x6"}},
    {"reshape_size", kOnnxShape, {"node \"view\" (Reshape)", "1x2x6x6", "1x71"}},
    {"reshape_batch", kOnnxShape, {"node \"view\" (Reshape)", "1x2x6x6", "2x36", "batch"}},
    {"reshape_rank5", kOnnxShape, {"node \"view\" (Reshape)", "1x2x6x3x2", "at most channels, height"}},
    {"rank5_read", kOnnxShape, {"node \"norm\" (BatchNormalization)", "1x2x6x3x2"}},
    {"batch_moved", kOnnxShape, {"node \"stem\" (Conv)", "2x3x6x6", "batch axis first"}},
    {"batch_moved_and_added_1", kOnnxShape, {"node \"sum\" (Add)", "6x1x2x6", "batch axis first"}},
    {"batch_moved_and_added_3", kOnnxShape, {"node \"sum\" (Add)", "6x3x2x6", "batch axis first"}},
    {"batch_moved_unseen", kOnnxUnsupportedOperator, {"node \"sum\" (Add)", "\"swap\"", "batch axis"}},
    {"zero_kernel", kOnnxShape, {"node \"stem\" (Conv)", "4x2x0x3"}},
    {"zero_outputs", kOnnxShape, {"node \"stem\" (Conv)", "0x2x3x3"}},
    {"zero_features", kOnnxShape, {"node \"fc\" (MatMul)", "72x0"}},
    {"zero_reshape", kOnnxShape, {"node \"view\" (Reshape)", "1x2x6x6", "1x0x6"}},
    {"pool_padding", kOnnxShape, {"node \"pool\" (AveragePool)", "padding", "2x2"}},
    {"max_pool_outside", kOnnxShape, {"node \"down\" (MaxPool)", "padding", "2x2"}},
    {"max_pool_dilated_outside", kOnnxShape, {"node \"down\" (MaxPool)", "padding", "2x2"}},
    {"pool_1d", kOnnxUnsupportedAttribute, {"node \"pool\" (AveragePool)", "kernel_shape"}},
    {"constants_grow", kOnnxTooLarge, {"node \"blow\" (ConstantOfShape)", "1048576x1048576"}},
    {"constants_add_up", kOnnxTooLarge, {"(ConstantOfShape)", "expanded"}},

    {"max_pool_indices", kOnnxUnsupportedOperator, {"node \"down\" (MaxPool)", "\"places\"", "first output"}},
    {"conv_transpose", kOnnxUnsupportedOperator, {"node \"up\" (ConvTranspose)", "retrain"}},
    {"conv_transpose_1d", kOnnxUnsupportedOperator, {"node \"up\" (ConvTranspose)", "retrain"}},
    {"clip_by_channel", kOnnxMalformed, {"node \"relu6\" (Clip)", "max", "one number"}},
    {"clip_by_image", kOnnxUnsupportedOperator, {"node \"floor\" (Clip)", "min", "constant"}},
    {"max_of_two", kOnnxUnsupportedOperator, {"node \"maxout\" (Max)", "two activations", "retrain"}},
    {"prelu_by_channel", kOnnxUnsupportedOperator, {"node \"act\" (PRelu)", "2x1x1", "LeakyRelu"}},
    {"control_flow_if", kOnnxUnsupportedOperator, {"node \"choose\" (If)", "no control flow"}},
    {"control_flow_loop", kOnnxUnsupportedOperator, {"node \"repeat\" (Loop)", "no control flow"}},
    {"root_of_image", kOnnxUnsupportedOperator, {"node \"root\" (Sqrt)", "constants", "retrain"}},
    {"root_of_integers", kOnnxMalformed, {"node \"root\" (Sqrt)", "integers"}},
    {"sliced_image", kOnnxUnsupportedOperator, {"node \"crop\" (Slice)", "strides or groups"}},
    {"split", kOnnxUnsupportedOperator, {"node \"halves\" (Split)", "retrain"}},
    {"unknown_operator",
     kOnnxUnsupportedOperator,
     {"node \"odd\" (Frobnicate)", "end the network before it"}},
    {"custom_domain", kOnnxUnsupportedOperator, {"node \"stem\" (Conv)", "\"com.example\""}},
    {"unnamed", kOnnxUnsupportedOperator, {"node #1 (Softsign)"}},
    {"softmax_inside", kOnnxUnsupportedOperator, {"node \"fc\" (Gemm)", "Softmax"}},
    {"arg_max_inside", kOnnxUnsupportedOperator, {"node \"act\" (Relu)", "ArgMax", "last step"}},
    {"arg_max_spatial", kOnnxUnsupportedOperator, {"node \"top\" (ArgMax)", "1x2x6x6", "end the network"}},
    {"arg_max_last", kOnnxUnsupportedAttribute, {"node \"top\" (ArgMax)", "select_last_index"}},
    {"arg_max_twice", kOnnxUnsupportedOperator, {"node \"top\" (ArgMax)", "last step"}},
    {"softmax_spatial", kOnnxUnsupportedOperator, {"node \"prob\" (Softmax)", "1x2x6x6"}},
    {"computed_weights", kOnnxUnsupportedOperator, {"node \"stem\" (Conv)", "weights", "constant"}},
    {"divide_activations", kOnnxUnsupportedOperator, {"node \"ratio\" (Div)", "divides"}},
    {"fifth_power", kOnnxUnsupportedOperator, {"node \"power\" (Pow)", "powers 2 and 3"}},
    {"concat_constant", kOnnxUnsupportedOperator, {"node \"join\" (Concat)", "constant", "retrain"}},
    {"concat_batch", kOnnxUnsupportedOperator, {"node \"join\" (Concat)", "batch axis"}},
    {"concat_sizes", kOnnxShape, {"node \"join\" (Concat)", "1x2x6x6", "1x2x5x5", "axis 1"}},
    {"concat_ranks", kOnnxShape, {"node \"join\" (Concat)", "1x2x6x6", "1x72"}},
    {"concat_axis", kOnnxMalformed, {"node \"join\" (Concat)", "axis 4"}},
    {"concat_no_axis", kOnnxMalformed, {"node \"join\" (Concat)", "no axis"}},
    {"transpose_axes", kOnnxMalformed, {"node \"nhwc\" (Transpose)", "perm", "1x2x6x6"}},
    {"mask_used", kOnnxUnsupportedOperator, {"node \"drop\" (Dropout)", "\"mask\""}},
    {"dropout_training", kOnnxUnsupportedOperator, {"node \"drop\" (Dropout)", "eval()"}},
    {"norm_training", kOnnxUnsupportedAttribute, {"node \"norm\" (BatchNormalization)", "eval()"}},
    {"ceil_mode", kOnnxUnsupportedAttribute, {"node \"pool\" (AveragePool)", "ceil_mode"}},
    {"trans_a", kOnnxUnsupportedAttribute, {"node \"fc\" (Gemm)", "transA"}},
    {"unknown_attribute", kOnnxUnsupportedAttribute, {"node \"act\" (Relu)", "\"sharpness\""}},
    {"reflecting_pad", kOnnxUnsupportedAttribute, {"node \"edge\" (Pad)", "\"reflect\""}},
    {"pad_with_one", kOnnxUnsupportedOperator, {"node \"edge\" (Pad)", "zero"}},
    {"pad_batch", kOnnxUnsupportedOperator, {"node \"edge\" (Pad)", "1x2x6x6", "batch"}},
    {"cast_to_int", kOnnxUnsupportedOperator, {"node \"round\" (Cast)", "int32"}},
    {"mean_over_channels",
     kOnnxUnsupportedOperator,
     {"node \"mean\" (ReduceMean)", "all axes but the batch and the channels", "batch normalisation"}},
};

class Refused : public testing::TestWithParam<BadModel> {};

TEST_P(Refused, WithItsCodeAndWords) {
  Result<Graph> graph = load_onnx(bad_path(GetParam().name));
  ASSERT_FALSE(graph.ok());
  EXPECT_EQ(to_string(graph.error().code), to_string(GetParam().code)) << graph.error().message;
  expect_one_line(graph.error());
  for (const std::string& word : GetParam().words) {
    EXPECT_NE(graph.error().message.find(word), std::string::npos) << word << " in " << graph.error().message;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Refused, testing::ValuesIn(kBadModels),
                         [](const auto& test) { return test.param.name; });

TEST(Import, TestsEveryBadModel) {
  std::set<std::string> tested, written;
  for (const BadModel& bad : kBadModels) tested.insert(bad.name);
  for (const auto& file : std::filesystem::directory_iterator(bad_path("x").parent_path())) {
    written.insert(file.path().stem().string());
  }
  EXPECT_EQ(tested, written);
}

TEST(Import, SaysWhichFileIsMissing) {
  Result<Graph> graph = load_onnx("/nonexistent/model.onnx");
  ASSERT_FALSE(graph.ok());
  EXPECT_EQ(graph.error().code, kFileNotFound);
  EXPECT_NE(graph.error().message.find("/nonexistent/model.onnx"), std::string::npos);
}

// Whatever comes after a node that is named as the last is not looked at.
TEST(Import, EndsAtANode) {
  Result<Graph> graph = load_onnx(bad_path("unknown_operator"), "act");
  ASSERT_TRUE(graph.ok()) << graph.error().to_line();
  EXPECT_EQ(graph->nodes.size(), 1u);
  EXPECT_EQ(graph->output_shape(), (Shape{2, 6, 6}));
  EXPECT_EQ(load_onnx(bad_path("unknown_operator"), "odd").error().code, kOnnxUnsupportedOperator);
  EXPECT_EQ(load_onnx(bad_path("unknown_operator"), "nobody").error().code, kOnnxOutput);
}

TEST(Import, KeepsNamesAndTheFinalSoftmax) {
  Result<Graph> graph = load_onnx(good_path("lenet_opset13"));
  ASSERT_TRUE(graph.ok());
  EXPECT_EQ(graph->input_name, "image");
  EXPECT_EQ(graph->output_name, "result");
  EXPECT_EQ(graph->output_function, OutputFunction::kLogSoftmax);
  EXPECT_EQ(graph->input_shape(), (Shape{1, 20, 20}));
  EXPECT_EQ(graph->output_shape(), (Shape{10, 1, 1}));
  EXPECT_EQ(load_onnx(good_path("softmax"))->output_function, OutputFunction::kSoftmax);
  EXPECT_EQ(load_onnx(good_path("linear"))->output_function, OutputFunction::kIdentity);
}

TEST(Import, LeavesTheArgMaxToWhoeverDecrypts) {
  for (const char* name : {"arg_max", "arg_max_of_softmax", "tensorflow_coloured_opset13"}) {
    Result<Graph> graph = load_onnx(good_path(name));
    ASSERT_TRUE(graph.ok()) << name;
    EXPECT_EQ(graph->output_function, OutputFunction::kArgMax) << name;
    EXPECT_GT(graph->output_shape().channels, 1) << name;
  }
}

std::size_t count_permutes(const Graph& graph) {
  return static_cast<std::size_t>(std::count_if(graph.nodes.begin(), graph.nodes.end(), [](const Node& node) {
    return std::holds_alternative<Permute>(node.operation);
  }));
}

TEST(Import, ReadsChannelsLastAsChannelsFirst) {
  std::size_t count = 0;
  for (const std::string& name : good_names()) {
    if (!name.starts_with("tensorflow_") || name == "tensorflow_flatten") continue;
    ++count;
    Result<Graph> graph = load_onnx(good_path(name));
    ASSERT_TRUE(graph.ok()) << name;
    EXPECT_LE(graph->input_shape().channels, 3) << name;
    // All transposes undo each other or end in a layer's weights, but for an output with its channels last.
    EXPECT_EQ(count_permutes(simplify(*graph)), name == "tensorflow_image_output" ? 1u : 0u) << name;
  }
  EXPECT_GE(count, 15u);
}

TEST(Import, MovesElementsWhereTransposesDoNotCancel) {
  Result<Graph> graph = load_onnx(good_path("transposed_image"));
  ASSERT_TRUE(graph.ok());
  EXPECT_EQ(graph->input_shape(), (Shape{2, 5, 7}));
  EXPECT_EQ(count_permutes(simplify(*graph)), 1u);
  EXPECT_EQ(count_permutes(simplify(*load_onnx(good_path("transposed_into_linear")))), 0u);
  EXPECT_EQ(count_permutes(simplify(*load_onnx(good_path("layers_last")))), 0u);
}

TEST(Import, TakesImagesOfOneDimension) {
  EXPECT_EQ(load_onnx(good_path("conv1d"))->input_shape(), (Shape{3, 1, 9}));
  EXPECT_EQ(load_onnx(good_path("conv1d"))->output_shape(), (Shape{5, 1, 7}));
  EXPECT_EQ(load_onnx(good_path("vector"))->input_shape(), (Shape{7, 1, 1}));
  EXPECT_EQ(load_onnx(good_path("tensorflow_signal_rank3"))->input_shape(), (Shape{3, 1, 9}));
}

TEST(Import, NamesFunctions) {
  const std::pair<const char*, const char*> cases[] = {{"gelu", "Gelu"},
                                                       {"gelu_by_erf", "Gelu"},
                                                       {"gelu_tanh", "Gelu"},
                                                       {"gelu_by_cube", "Gelu"},
                                                       {"mish", "Mish"},
                                                       {"hard_swish", "HardSwish"},
                                                       {"hard_swish_opset9", "HardSwish"},
                                                       {"hard_swish_by_relu6", "HardSwish"},
                                                       {"swish_of_its_own", "Function"},
                                                       {"silu_reversed", "Silu"},
                                                       {"relu6", "Clip"},
                                                       {"clamp_low", "Clip"}};
  for (const auto& [model, name] : cases) {
    Graph simple = simplify(*load_onnx(good_path(model)));
    ASSERT_EQ(simple.nodes.size(), 1u) << model;
    EXPECT_EQ(name_of(simple.nodes[0].operation), name) << model;
  }
}

TEST(Import, FindsEveryPrefixOfAModelMalformed) {
  Bytes bytes = bytes_of(good_path("asymmetric_pads"));
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    Result<Graph> graph = import_onnx(ByteView(bytes).first(length));
    ASSERT_FALSE(graph.ok()) << length;
    ASSERT_EQ(graph.error().code, kOnnxMalformed) << length << ": " << graph.error().message;
  }
  EXPECT_TRUE(import_onnx(bytes).ok());
}

TEST(Import, FindsSixteenthsOfEveryModelMalformed) {
  for (const std::string& name : good_names()) {
    Bytes bytes = bytes_of(good_path(name));
    for (std::size_t part = 0; part < 16; ++part) {
      Result<Graph> graph = import_onnx(ByteView(bytes).first(bytes.size() * part / 16));
      ASSERT_FALSE(graph.ok()) << name << " " << part;
      ASSERT_EQ(graph.error().code, kOnnxMalformed) << name << " " << part << ": " << graph.error().message;
      expect_one_line(graph.error());
    }
  }
}

TEST(Import, AnswersFlippedBytesWithAResult) {
  const std::uint32_t seed = 20240611;
  RecordProperty("seed", static_cast<int>(seed));
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::size_t refused = 0, accepted = 0;
  for (const char* name :
       {"tensorflow_flatten", "constant_weights", "same_pool", "gemm_alpha_beta", "per_channel",
        "view_product_opset13", "residual_same_unfolded", "pad_twice_opset9", "tensorflow_grey_opset9",
        "max_pool_ceil", "channel_shuffle", "concat_rows", "clamp_low"}) {
    const Bytes original = bytes_of(good_path(name));
    for (int round = 0; round < 250; ++round) {
      Bytes bytes = original;
      for (int flips = 1 + static_cast<int>(random() % 3); flips > 0; --flips) {
        bytes[random() % bytes.size()] ^= static_cast<std::uint8_t>(1 + random() % 255);
      }
      Result<Graph> graph = import_onnx(bytes);
      if (!graph.ok()) {
        ++refused;
        expect_one_line(graph.error());
        ASSERT_NE(graph.error().code, kInternal) << graph.error().message;
        continue;
      }
      ++accepted;
      Graph simple = simplify(*graph);
      ASSERT_TRUE(validate(simple).ok()) << name << ", round " << round;
      std::int64_t largest = 0;
      for (const Value& value : graph->values) largest = std::max(largest, value.shape.size());
      if (largest > 10000) continue;
      Tensor input{graph->input_shape(),
                   std::vector<float>(static_cast<std::size_t>(graph->input_shape().size()), 1)};
      ASSERT_TRUE(execute(simple, input).ok()) << name << ", round " << round;
    }
  }
  EXPECT_GT(refused, 100u);
  EXPECT_GT(accepted, 100u);
}

TEST(Import, RefusesRandomBytes) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    Bytes bytes(random() % 400);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
    EXPECT_FALSE(import_onnx(bytes).ok());
  }
}

TEST(Operators, AreSortedUniqueAndExplained) {
  std::set<std::string_view> names;
  for (const Operator& row : operators()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_EQ(find_operator(row.name), &row);
    EXPECT_LE(row.min_inputs, row.max_inputs) << row.name;
    EXPECT_NE(row.lower != nullptr, row.becomes.empty()) << row.name;
    EXPECT_TRUE(row.lower != nullptr || !row.note.empty()) << row.name;
  }
  EXPECT_EQ(find_operator(""), nullptr);
  EXPECT_EQ(find_operator("conv"), nullptr);
  EXPECT_EQ(find_operator("Zzz"), nullptr);
}

TEST(Operators, AreAllOnTheirPage) {
  std::string page = operators_page();
  for (const Operator& row : operators()) {
    EXPECT_NE(page.find("| " + std::string(row.name) + " | "), std::string::npos) << row.name;
  }
  EXPECT_NE(page.find("9 to 17"), std::string::npos);

  std::filesystem::path written = std::filesystem::path(TACIT_SOURCE_DIR) / "src/graph/operators.md";
  std::filesystem::path fresh = std::filesystem::path(TACIT_GRAPH_MODELS) / "operators.md";
  ASSERT_TRUE(write_file_atomic(fresh, as_bytes(page)).ok());
  EXPECT_TRUE(as_text(bytes_of(written)) == page)
      << written << " is out of date; copy " << fresh << " over it";
}

}  // namespace
}  // namespace tacit::graph
