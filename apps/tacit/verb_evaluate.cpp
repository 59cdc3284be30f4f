// SPDX-License-Identifier: Apache-2.0
// tacit evaluate --server URL --model NAME --dataset DIR_OR_IDX --count N [--json]: how often encrypted
// predictions are right, and how often they are what the clear network says.
#include <algorithm>
#include <cmath>
#include <system_error>

#include "batch.h"
#include "client/dataset.h"
#include "graph/execute.h"
#include "graph/import.h"
#include "key_options.h"
#include "verbs.h"

namespace tacit::app {
namespace {

struct EvaluateOptions {
  SessionFlags session;
  client::DatasetSource dataset;
  std::size_t count = 0;
  std::filesystem::path onnx;
  bool json = false;
};

// The network in the clear, to compare with.
class Reference {
 public:
  static Result<Reference> load(const std::filesystem::path& path, const plan::ClientHalf& half) {
    TACIT_TRY(graph::Graph loaded, graph::load_onnx(path));
    auto network = std::make_unique<const graph::Graph>(std::move(loaded));
    const plan::Shape& shape = half.input_shape();
    const graph::Shape& in = network->input_shape();
    if (in != graph::Shape{shape.channels, shape.height, shape.width} ||
        static_cast<std::size_t>(network->output_shape().size()) != half.output_shape().elements()) {
      return Error{ErrorCode::kInvalidArgument,
                   path.string() + " has other inputs or outputs than the model " + half.name};
    }
    TACIT_TRY(graph::Executor executor, graph::Executor::create(*network));
    return Reference(std::move(network), std::move(executor));
  }

  // The network's output before its softmax, which is what the encrypted one gives.
  Result<std::vector<float>> outputs(std::vector<float> tensor) const {
    TACIT_TRY(graph::Tensor result, executor_.run({graph_->input_shape(), std::move(tensor)}));
    return std::move(result.data);
  }

 private:
  Reference(std::unique_ptr<const graph::Graph> network, graph::Executor executor)
      : graph_(std::move(network)), executor_(std::move(executor)) {}

  std::unique_ptr<const graph::Graph> graph_;  // the executor points to it
  graph::Executor executor_;
};

// Where the clear network of a model is by default: the bundled ones, seen from the project's folder.
std::filesystem::path default_onnx(const std::string& model) {
  std::string name = model;
  std::replace(name.begin(), name.end(), '-', '_');
  return std::filesystem::path("models") / name / (name + ".onnx");
}

// The network to compare with, if one was named or is at its default place.
Result<std::optional<Reference>> find_reference(const std::filesystem::path& named,
                                                const plan::ClientHalf& half) {
  std::optional<Reference> reference;
  std::error_code ignored;
  std::filesystem::path path = named.empty() ? default_onnx(half.name) : named;
  if (named.empty() && !std::filesystem::exists(path, ignored)) return reference;
  auto loaded = Reference::load(path, half);
  if (!loaded && !named.empty()) return std::move(loaded).error();
  if (named.empty()) {
    say(loaded ? "comparing with the clear network " + path.string()
               : "not comparing with the clear network: " + loaded.error().message);
  }
  if (loaded) reference = std::move(loaded).value();
  return reference;
}

double largest_difference(std::span<const float> a, std::span<const float> b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    largest = std::max(largest, std::abs(double{a[i]} - double{b[i]}));
  return largest;
}

struct Findings {
  std::size_t right = 0, agreeing = 0, reference_right = 0;
  double max_logit_difference = 0;
};

Status evaluate(const EvaluateOptions& options) {
  TACIT_TRY(SessionFlags::Service service, options.session.find());
  const plan::ClientHalf half = service.half;
  const plan::Shape& shape = half.input_shape();
  TACIT_TRY(std::vector<client::LabelledImage> images,
            client::load_dataset(options.dataset, half.labels, half.output_shape().elements(), shape.channels,
                                 options.count));
  TACIT_TRY(std::optional<Reference> reference, find_reference(options.onnx, half));
  TACIT_TRY(client::Session session, options.session.open(std::move(service)));

  Costs costs;
  Findings found;
  ProgressLine progress("evaluating " + half.name);
  for (std::size_t first = 0; first < images.size(); first += half.batch()) {
    const std::size_t end = std::min(images.size(), first + half.batch());
    plan::Tensors tensors;
    for (std::size_t i = first; i < end; ++i) {
      TACIT_TRY(tensors.emplace_back(),
                client::preprocess(images[i].image, shape, half.preprocessing, images[i].name));
    }
    auto prediction = session.predict_batch(tensors);
    if (!prediction) return std::move(prediction).error().within(images[first].name);
    costs.add(*prediction, tensors.size());
    for (std::size_t i = first; i < end; ++i) {
      const std::vector<float>& outputs = prediction->outputs[i - first];
      const std::size_t label = client::largest(outputs);
      found.right += label == images[i].label;
      if (!reference) continue;
      TACIT_TRY(std::vector<float> clear, reference->outputs(std::move(tensors[i - first])));
      found.agreeing += client::largest(clear) == label;
      found.reference_right += client::largest(clear) == images[i].label;
      found.max_logit_difference = std::max(found.max_logit_difference, largest_difference(clear, outputs));
    }
    progress.update(end, images.size(), std::to_string(found.right) + " right");
  }
  progress.finish();
  costs.key_bytes = session.key_bytes();

  const double count = static_cast<double>(images.size());
  say(std::to_string(found.right) + " of " + std::to_string(images.size()) + " labels are right (" +
      format_number(100 * static_cast<double>(found.right) / count, 2) + " %)");
  if (reference) {
    say(std::to_string(found.agreeing) + " are the clear network's, which has " +
        std::to_string(found.reference_right) + " right; the outputs differ by at most " +
        format_number(found.max_logit_difference, 6));
  }
  say(costs.summary());
  if (options.json) {
    nlohmann::ordered_json object;
    costs.write(object);
    object["accuracy"] = static_cast<double>(found.right) / count;
    // Without the clear network it is not known.
    object["agreement"] = nullptr;
    if (reference) {
      object["agreement"] = static_cast<double>(found.agreeing) / count;
      object["clear_accuracy"] = static_cast<double>(found.reference_right) / count;
      object["max_logit_difference"] = found.max_logit_difference;
    }
    print_json(object);
  }
  return {};
}

}  // namespace

void add_evaluate(CLI::App& app, Context& context) {
  CLI::App* verb =
      app.add_subcommand("evaluate", "Measure a server's model on labelled images that it cannot see");
  auto options = std::make_shared<EvaluateOptions>();
  options->session.declare(*verb);
  verb->add_option(
          "--dataset", options->dataset.path,
          "Folder with a subfolder for each label, or an IDX file of images, or a folder of IDX files")
      ->required();
  verb->add_option("--labels", options->dataset.labels,
                   "IDX file of labels (default: found beside the images)");
  verb->add_option("--count", options->count, "How many images, from the first on (default: all)")
      ->check(CLI::PositiveNumber);
  verb->add_option("--onnx", options->onnx,
                   "The network in the clear, to compare labels and outputs with (default: "
                   "models/NAME/NAME.onnx, if there)");
  verb->add_flag("--json", options->json, "Print the result and what it cost as one JSON object");
  when_chosen(*verb, context, options, evaluate);
}

}  // namespace tacit::app
