// SPDX-License-Identifier: Apache-2.0
// tacit fit FEATURES.npy --labels FILE --output HEAD [--held-out 0.2] [--seed S] [--l2 X] [--json]: trains a classifier
// on decrypted features, on this machine alone.
#include <algorithm>
#include <numeric>

#include "base/file.h"
#include "base/printable.h"
#include "client/api.h"
#include "client/stratified.h"
#include "feature_file.h"
#include "verbs.h"

namespace tacit::app {
namespace {

struct FitOptions {
  std::filesystem::path features, labels, output;
  std::string model;
  double held_out = 0.2;
  std::uint64_t seed = 1;
  std::optional<double> l2;
  bool json = false;
};

// How many rows of each class there are, and how many of them the head is right about.
struct Score {
  std::vector<std::size_t> right, total;

  std::size_t rows() const { return std::accumulate(total.begin(), total.end(), std::size_t{0}); }
  double accuracy() const {
    return static_cast<double>(std::accumulate(right.begin(), right.end(), std::size_t{0})) /
           static_cast<double>(rows());
  }
  double recall(std::size_t c) const { return static_cast<double>(right[c]) / static_cast<double>(total[c]); }
};

Result<Score> score(const client::LinearClassifier& classifier, const Features& features,
                    const IndexedLabels& labels, std::span<const std::size_t> rows) {
  Score score{std::vector<std::size_t>(classifier.classes()), std::vector<std::size_t>(classifier.classes())};
  for (std::size_t row : rows) {
    auto probabilities = classifier.probabilities(features.table().row(row));
    if (!probabilities.ok()) return std::move(probabilities).error().within("row " + std::to_string(row));
    const std::uint32_t label = labels.indices[row];
    const auto best = std::ranges::max_element(*probabilities) - probabilities->begin();
    ++score.total[label];
    score.right[label] += static_cast<std::size_t>(best) == label;
  }
  return score;
}

Result<IndexedLabels> find_labels(const FitOptions& options, const Features& features) {
  if (options.labels.empty() && features.labels.empty())
    return Error{ErrorCode::kInvalidArgument,
                 "there are no labels with " + options.features.string() + "; name them with --labels FILE"};
  std::vector<std::string> labels = features.labels;
  if (!options.labels.empty()) { TACIT_TRY(labels, load_row_labels(options.labels)); }
  if (labels.size() != features.rows())
    return Error{ErrorCode::kLabelsInvalid,
                 options.labels.string() + " has " + std::to_string(labels.size()) + " labels, " +
                     options.features.string() + " has " + std::to_string(features.rows()) +
                     " rows; give one label for each row, in their order"};
  return index_labels(labels);
}

Status check(const FitOptions& options, const Features& features) {
  if (!options.model.empty() && !client::is_model_name(options.model))
    return Error{ErrorCode::kInvalidArgument, "--model is not a model's name"};
  if (options.model.empty() || features.model.empty() || options.model == features.model) return {};
  return Error{ErrorCode::kFeaturesInvalid, options.features.string() + " has features of the model " +
                                                features.model + ", not of " + options.model};
}

void say_score(const Score& training, const Score& held_out, const IndexedLabels& labels) {
  const Score& shown = held_out.rows() > 0 ? held_out : training;
  const std::string which = held_out.rows() > 0 ? "held-out" : "training";
  for (std::size_t c = 0; c < labels.names.size(); ++c) {
    if (shown.total[c] == 0) continue;
    say("  " + printable(labels.names[c]) + ": " + std::to_string(shown.right[c]) + " of " +
        std::to_string(shown.total[c]) + " " + which + " rows recognised (" +
        format_number(100 * shown.recall(c), 1) + " %)");
  }
  say("accuracy on the " + std::to_string(training.rows()) +
      " rows trained on: " + format_number(100 * training.accuracy(), 2) + " %");
  if (held_out.rows() > 0)
    say("accuracy on the " + std::to_string(held_out.rows()) +
        " rows held out: " + format_number(100 * held_out.accuracy(), 2) + " %");
}

nlohmann::ordered_json report(const FitOptions& options, const client::ClassifierHead& head,
                              const client::SoftmaxRegression& fit, const Score& training,
                              const Score& held_out) {
  const Score& shown = held_out.rows() > 0 ? held_out : training;
  auto recall = nlohmann::ordered_json::object();
  for (std::size_t c = 0; c < head.labels.size(); ++c) {
    recall[head.labels[c]] = nullptr;
    if (shown.total[c] > 0) recall[head.labels[c]] = shown.recall(c);
  }
  nlohmann::ordered_json object{{"model", head.model},
                                {"features", head.classifier.features()},
                                {"labels", head.labels},
                                {"training_rows", training.rows()},
                                {"held_out_rows", held_out.rows()},
                                {"training_accuracy", training.accuracy()},
                                {"held_out_accuracy", nullptr},
                                {"recall", std::move(recall)},
                                {"l2", fit.l2},
                                {"l2_chosen", !options.l2.has_value()},
                                {"loss", fit.loss},
                                {"iterations", fit.iterations},
                                {"converged", fit.converged}};
  if (held_out.rows() > 0) object["held_out_accuracy"] = held_out.accuracy();
  return object;
}

Status fit(const FitOptions& options) {
  TACIT_TRY(const Features features, load_features(options.features));
  TACIT_CHECK(check(options, features));
  TACIT_TRY(const IndexedLabels labels, find_labels(options, features));
  const client::Split split =
      client::stratified_split(labels.indices, labels.names.size(), options.held_out, options.seed);
  if (options.held_out > 0 && split.held_out.empty())
    return Error{ErrorCode::kLabelsInvalid,
                 "there are too few rows to hold some out; give more rows, or --held-out 0"};

  ProgressLine progress("training");
  client::SoftmaxRegressionOptions settings{
      options.l2, options.seed, [&](std::size_t done, std::size_t total) { progress.update(done, total); }};
  TACIT_TRY(client::SoftmaxRegression trained,
            client::fit_softmax_regression(features.table(), labels.indices, labels.names.size(),
                                           split.training, settings));
  progress.finish();
  client::ClassifierHead head{features.model.empty() ? options.model : features.model, labels.names,
                              std::move(trained.classifier)};
  TACIT_TRY(const Score training, score(head.classifier, features, labels, split.training));
  TACIT_TRY(const Score held_out, score(head.classifier, features, labels, split.held_out));
  TACIT_CHECK(write_file_atomic(options.output, client::write_head(head)));

  say_score(training, held_out, labels);
  if (!trained.converged)
    say("the training ended before its minimum; a larger --l2 would help, if the accuracy is too low");
  say("wrote " + options.output.string() + ": " + std::to_string(head.labels.size()) + " classes from " +
      std::to_string(features.columns) + " features" +
      (head.model.empty() ? "" : " of the model " + head.model));
  if (options.json) print_json(report(options, head, trained, training, held_out));
  return {};
}

}  // namespace

void add_fit(CLI::App& app, Context& context) {
  CLI::App* verb = app.add_subcommand("fit", "Train a classifier on features, on this machine");
  auto options = std::make_shared<FitOptions>();
  verb->add_option("features", options->features,
                   "Table [rows, features...] (.npy), as tacit features writes it")
      ->required();
  verb->add_option("--labels", options->labels,
                   "A label for each row: text with one a line, an IDX file, or a .npy file of integers "
                   "(default: those of the data set that tacit features read)");
  verb->add_option("-o,--output", options->output, "Receives the classifier head")->required();
  verb->add_option("--model", options->model,
                   "The model whose outputs the features are (default: as tacit features noted it)");
  verb->add_option("--held-out", options->held_out, "Share of the rows to measure on instead of training on")
      ->check(CLI::Range(0.0, 0.9))
      ->capture_default_str();
  verb->add_option("--seed", options->seed, "Of the choice of rows")->capture_default_str();
  verb->add_option("--l2", options->l2, "Strength of the regularisation (default: chosen)")
      ->check(CLI::Range(0.0, client::kMaxL2));
  verb->add_flag("--json", options->json, "Print the scores as one JSON object");
  when_chosen(*verb, context, options, fit);
}

}  // namespace tacit::app
