// SPDX-License-Identifier: Apache-2.0
// tacit compile MODEL.onnx --calibration FILE_OR_DIR -o MODEL.tacit: an ONNX network to a package.
#include <algorithm>
#include <chrono>
#include <map>
#include <optional>

#include "base/file.h"
#include "calibration.h"
#include "compiler/compile.h"
#include "graph/import.h"
#include "model_report.h"
#include "report_page.h"
#include "sample.h"
#include "verbs.h"

namespace tacit::app {
namespace {

struct CompileOptions {
  std::filesystem::path model, output, labels, preprocessing, report;
  CalibrationSource calibration;
  std::optional<std::size_t> sample;
  std::optional<double> memory_mb;
  std::string name;
  std::size_t max_calibration = 512;
  std::string layers;
  bool client_rest = false, refresh = false;
  compiler::Mode mode = compiler::Mode::kLatency;
  double margin = 1.5;
  double key_budget_mb = 50;
  std::optional<int> degree;
  double agreement = 0.99;
  compiler::ReluMode relu = compiler::ReluMode::kAutomatic;
  bool json = false;
};

// A model's name from a file's: lower case, everything else that names may not have as '-'.
std::string name_from(const std::filesystem::path& path) {
  std::string name;
  for (char c : path.stem().string()) {
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const bool letter = (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9');
    if (letter || (!name.empty() && (lower == '.' || lower == '_')))
      name += lower;
    else if (!name.empty() && name.back() != '-')
      name += '-';
  }
  if (name.size() > 64) name.resize(64);
  return name.empty() ? "model" : name;
}

Status check_description(const ImageDescription& description, const graph::Graph& graph) {
  const graph::Shape& shape = graph.input_shape();
  if (description.shape.channels == shape.channels && description.shape.height == shape.height &&
      description.shape.width == shape.width)
    return {};
  return Error{ErrorCode::kInvalidArgument,
               "--preprocessing describes images of " + std::to_string(description.shape.channels) + "x" +
                   std::to_string(description.shape.height) + "x" + std::to_string(description.shape.width) +
                   ", the network takes " + graph::to_string(shape)};
}

// How far the model is from the network; the last part by running it.
Status measure(compiler::Compiled& compiled, const CalibrationSet& calibration,
               const CompileOptions& options) {
  const compiler::Subject subject{compiled.graph, compiled.approximations, compiled.package,
                                  calibration.images, calibration.labels};
  say("measuring the model on calibration images");
  const compiler::OutputReference reference = make_reference(subject);
  TACIT_TRY(compiled.record.accuracy, measure_accuracy(subject, reference));
  const std::size_t count = sample_size(options.sample, compiled.package.client, calibration.images.size());
  TACIT_TRY(compiled.record.accuracy.encrypted, run_sample(subject, reference, count));
  compiled.package.record = to_json(compiled.record);
  return {};
}

// The network; only as far as the last encrypted layer where what follows cannot be read and nobody computes it.
Result<graph::Graph> load_network(const CompileOptions& options) {
  auto whole = graph::load_onnx(options.model);
  const std::size_t colon = options.layers.find(':');
  if (whole.ok() || options.client_rest || colon == std::string::npos) return whole;
  auto beginning = graph::load_onnx(options.model, options.layers.substr(colon + 1));
  return beginning.ok() ? std::move(beginning) : std::move(whole);
}

Status run(const CompileOptions& options) {
  if (options.max_calibration == 0)
    return Error{ErrorCode::kInvalidArgument, "--max-calibration must be at least 1"};
  if (!(options.key_budget_mb > 0 && options.key_budget_mb < 1e9))
    return Error{ErrorCode::kInvalidArgument, "--key-budget must be a positive number of megabytes"};
  if (options.memory_mb && !(*options.memory_mb >= 1 && *options.memory_mb < 1e9))
    return Error{ErrorCode::kInvalidArgument, "--memory must be a number of megabytes, at least 1"};
  TACIT_TRY(const graph::Graph graph, load_network(options));
  compiler::Options settings;
  settings.name = name_from(options.model);
  settings.margin = options.margin;
  settings.degree = options.degree;
  settings.agreement = options.agreement;
  settings.relu = options.relu;
  settings.layers = options.layers;
  settings.client_rest = options.client_rest;
  settings.refresh = options.refresh;
  settings.mode = options.mode;
  settings.key_budget = static_cast<std::uint64_t>(options.key_budget_mb * 1e6);
  settings.memory_budget = static_cast<std::uint64_t>(options.memory_mb.value_or(0) * 1e6);
  if (!options.preprocessing.empty()) {
    TACIT_TRY(ImageDescription description, load_description(options.preprocessing));
    TACIT_CHECK(check_description(description, graph));
    settings.preprocessing = std::move(description.preprocessing);
    settings.labels = std::move(description.labels);
    if (!description.name.empty()) settings.name = std::move(description.name);
  } else {
    const auto channels = static_cast<std::size_t>(graph.input_shape().channels);
    settings.preprocessing.mean.assign(channels, 0.0);
    settings.preprocessing.deviation.assign(channels, 1.0);
    say("no --preprocessing: clients will give the network pixels divided by 255");
  }
  if (!options.labels.empty()) { TACIT_TRY(settings.labels, load_labels(options.labels)); }
  if (!options.name.empty()) settings.name = options.name;
  // The outputs of a range of layers are features, not classes.
  if (!options.layers.empty() && !options.client_rest && options.labels.empty()) settings.labels.clear();

  TACIT_TRY(
      CalibrationSet calibration,
      load_calibration(options.calibration, graph.input_shape(), settings.preprocessing, settings.labels,
                       static_cast<std::size_t>(graph.output_shape().size()), options.max_calibration));
  // Features have no labels.
  if (!options.layers.empty() && !options.client_rest) calibration.labels.clear();
  say("compiling " + options.model.string() + " with " + std::to_string(calibration.images.size()) +
      (calibration.labels.empty() ? "" : " labelled") + " calibration images");
  // A quick one needs no words: a line every two seconds at most.
  settings.progress = [last = std::chrono::steady_clock::now()](const std::string& step) mutable {
    const auto now = std::chrono::steady_clock::now();
    if (now - last < std::chrono::seconds(2)) return;
    last = now;
    say(step);
  };
  TACIT_TRY(compiler::Compiled compiled, compiler::compile(graph, calibration.images, settings));
  TACIT_CHECK(measure(compiled, calibration, options));
  const Bytes bytes = plan::write_package(compiled.package);
  TACIT_CHECK(write_file_atomic(options.output, bytes));
  if (!options.report.empty())
    TACIT_CHECK(write_report_page(options.report, compiled.report, compiled.record));
  say_report(compiled.report);
  say_record(compiled.record);
  say("wrote " + options.output.string() + " (" + format_bytes(bytes.size()) + ")");
  if (options.json) {
    nlohmann::ordered_json object = report_json(compiled.report);
    add_record(object, compiled.record);
    print_json(object);
  }
  return {};
}

}  // namespace

void add_compile(CLI::App& app, Context& context) {
  CLI::App* verb =
      app.add_subcommand("compile", "Turn an ONNX network into a model that runs on ciphertexts");
  auto options = std::make_shared<CompileOptions>();
  verb->add_option("model", options->model, "Network (.onnx)")->required();
  verb->add_option(
          "--calibration", options->calibration.path,
          "Images to calibrate with: .npy float32 [n, channels, height, width] as the network takes them, an "
          "IDX file, or a folder of images")
      ->required();
  verb->add_option("-o,--output", options->output, "Receives the compiled model (.tacit)")->required();
  verb->add_option(
      "--calibration-labels", options->calibration.labels,
      "IDX file or text with a label for each calibration image (default: beside an IDX file, or the "
      "folders' names)");
  verb->add_option("--report", options->report, "Receives the report as one HTML page");
  verb->add_option(
      "--sample", options->sample,
      "Run so many calibration images encrypted (default: 8, fewer where that would take minutes; 0 "
      "for none)");
  verb->add_option("--memory", options->memory_mb,
                   "Megabytes that a server may need for the model and one client");
  verb->add_option("--name", options->name, "The model's name (default: from --preprocessing or the file)");
  verb->add_option("--labels", options->labels, "Text file, one label for each output and line");
  verb->add_option("--preprocessing", options->preprocessing,
                   "JSON page of image size, scale, mean, std and labels; travels with the model");
  verb->add_option("--max-calibration", options->max_calibration, "Use at most so many images")
      ->capture_default_str();
  verb->add_option("--degree", options->degree,
                   "Degree of all polynomials that replace activations (default: chosen for each layer)");
  verb->add_option("--agreement", options->agreement,
                   "Share of calibration images that should keep their label when degrees are chosen")
      ->capture_default_str();
  static const std::map<std::string, compiler::ReluMode> kReluModes = {
      {"auto", compiler::ReluMode::kAutomatic},
      {"polynomial", compiler::ReluMode::kPolynomial},
      {"sign", compiler::ReluMode::kSign}};
  verb->add_option(
          "--relu", options->relu,
          "How ReLU and maxima are computed: polynomial, sign (a composition of minimax polynomials: exact "
          "but near 0, and deep), or auto (default: sign where polynomials miss --agreement)")
      ->transform(CLI::CheckedTransformer(kReluModes, CLI::ignore_case))
      ->option_text("HOW");
  verb->add_option("--margin", options->margin, "Room above the calibrated ranges, 1 to 16")
      ->capture_default_str();
  verb->add_option(
      "--layers", options->layers,
      "Encrypt only layers FIRST:LAST, by number or name; clients compute those before, and get what "
      "LAST gives (features)");
  verb->add_flag("--client-rest", options->client_rest,
                 "With --layers: clients compute the layers after LAST too; publishes their weights");
  static const std::map<std::string, compiler::Mode> kModes = {{"latency", compiler::Mode::kLatency},
                                                               {"throughput", compiler::Mode::kThroughput},
                                                               {"small-keys", compiler::Mode::kSmallKeys}};
  verb->add_option(
          "--mode", options->mode,
          "What to aim at: latency (default), throughput (an image in each slot, thousands at once, no "
          "rotation keys), or small-keys")
      ->transform(CLI::CheckedTransformer(kModes, CLI::ignore_case))
      ->option_text("MODE");
  static const std::map<std::string, compiler::Mode> kPackings = {{"per-pixel", compiler::Mode::kThroughput}};
  verb->add_option("--packing", options->mode,
                   "per-pixel: a ciphertext for each pixel, as in the paper (the same as --mode throughput)")
      ->transform(CLI::CheckedTransformer(kPackings, CLI::ignore_case))
      ->option_text("PACKING");
  verb->add_flag("--refresh", options->refresh,
                 "Clients decrypt at each activation and maximum, compute it exactly and encrypt anew");
  verb->add_option("--key-budget", options->key_budget_mb,
                   "Megabytes that a client's evaluation keys should fit")
      ->capture_default_str();
  verb->add_flag("--json", options->json, "Print the result as one JSON object");
  when_chosen(*verb, context, options, run);
}

}  // namespace tacit::app
