// SPDX-License-Identifier: Apache-2.0
// tacit features --server URL --model NAME (IMAGE... | --dataset DIR_OR_IDX --count N) --output F.npy [--json]: a
// network's outputs for images that the server cannot see, kept for tacit fit and tacit classify.
#include "ask.h"
#include "feature_file.h"
#include "verbs.h"

namespace tacit::app {
namespace {

struct FeaturesOptions {
  SessionFlags session;
  ImageOptions images;
  std::filesystem::path output;
  bool json = false;
};

Status features(const FeaturesOptions& options) {
  TACIT_TRY(SessionFlags::Service service, options.session.find());
  TACIT_TRY(const std::vector<Question> questions, options.images.load(service.half));
  TACIT_TRY(const Answers answers, ask(options.session, std::move(service), questions));
  const Features table = collect(questions, answers);
  TACIT_CHECK(save_features(options.output, answers.half.output_shape(), table));
  say(answers.costs.summary());
  say("wrote " + std::to_string(table.columns) + " features of " + std::to_string(table.rows()) +
      " images to " + options.output.string() +
      (table.labels.empty() ? "" : ", and their labels to " + description_of(options.output).string()));
  if (options.json) {
    nlohmann::ordered_json object;
    answers.costs.write(object);
    object["features"] = table.columns;
    print_json(object);
  }
  return {};
}

}  // namespace

void add_features(CLI::App& app, Context& context) {
  CLI::App* verb =
      app.add_subcommand("features", "Have a server compute a network's outputs for images it cannot see");
  auto options = std::make_shared<FeaturesOptions>();
  options->session.declare(*verb);
  CLI::Option* dataset = options->images.declare_dataset(*verb, options->images.declare_files(*verb));
  verb->add_option("--labels", options->images.dataset.labels,
                   "IDX file of the data set's labels (default: found beside the images)")
      ->needs(dataset);
  verb->add_option("--output", options->output, "Receives [n, outputs...] as float32 .npy")->required();
  verb->add_flag("--json", options->json, "Print what it cost as one JSON object");
  when_chosen(*verb, context, options, features);
}

}  // namespace tacit::app
