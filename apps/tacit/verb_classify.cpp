// SPDX-License-Identifier: Apache-2.0
// tacit classify HEAD FEATURES.npy, or tacit classify HEAD --server URL --model NAME IMAGE...: what a classifier that
// tacit fit trained says, computed on this machine.
#include <algorithm>

#include "ask.h"
#include "base/file.h"
#include "base/printable.h"
#include "feature_file.h"
#include "verbs.h"

namespace tacit::app {
namespace {

struct ClassifyOptions {
  std::filesystem::path head, labels;
  SessionFlags session;  // without a server: the one file is a table of features
  ImageOptions images;
  bool json = false;
};

Result<client::ClassifierHead> load_head(const std::filesystem::path& path) {
  TACIT_TRY(const Bytes bytes, read_file(path, client::kMaxHeadBytes));
  auto head = client::read_head(bytes);
  if (!head.ok()) return std::move(head).error().within(path.string());
  return head;
}

Status check_usage(const ClassifyOptions& options) {
  const auto invalid = [](const char* message) { return Error{ErrorCode::kInvalidArgument, message}; };
  if (options.session.server.url.empty() != options.session.model.empty())
    return invalid("--server and --model belong together");
  if (options.session.server.url.empty() &&
      (options.images.files.size() != 1 || !options.images.dataset.path.empty()))
    return invalid("without a --server there must be one table of features (.npy), and nothing else");
  return {};
}

// The table named, or the server's answers for the images.
Result<Features> find_features(const ClassifyOptions& options, const client::ClassifierHead& head,
                               Costs& costs) {
  if (options.session.server.url.empty()) {
    TACIT_TRY(Features features, load_features(options.images.files.front()));
    TACIT_CHECK(head.check_features(features.model, features.columns));
    return features;
  }
  TACIT_TRY(SessionFlags::Service service, options.session.find());
  TACIT_CHECK(head.check_features(service.half.name, service.half.output_shape().elements()));
  ImageOptions images = options.images;
  if (!images.dataset.path.empty()) images.dataset.labels = options.labels;
  TACIT_TRY(const std::vector<Question> questions, images.load(service.half));
  TACIT_TRY(Answers answers, ask(options.session, std::move(service), questions));
  costs = std::move(answers.costs);
  return collect(questions, answers);
}

// The class of each row, where labels are known.
Result<std::vector<std::size_t>> find_truth(const ClassifyOptions& options,
                                            const client::ClassifierHead& head, const Features& features) {
  std::vector<std::string> labels = features.labels;
  if (!options.labels.empty() && options.images.dataset.path.empty()) {
    TACIT_TRY(labels, load_row_labels(options.labels));
    if (labels.size() != features.rows())
      return Error{ErrorCode::kLabelsInvalid, options.labels.string() + " has " +
                                                  std::to_string(labels.size()) + " labels for " +
                                                  std::to_string(features.rows()) + " rows"};
  }
  std::vector<std::size_t> truth;
  for (const std::string& label : labels) {
    const auto found = std::ranges::find(head.labels, label);
    if (found == head.labels.end())
      return Error{ErrorCode::kLabelsInvalid,
                   "row " + std::to_string(truth.size()) + " has the label \"" + printable(label) +
                       "\", which the head does not know; it knows \"" + printable(head.labels.front()) +
                       "\" to \"" + printable(head.labels.back()) + "\""};
    truth.push_back(static_cast<std::size_t>(found - head.labels.begin()));
  }
  return truth;
}

Status classify(const ClassifyOptions& options) {
  TACIT_CHECK(check_usage(options));
  TACIT_TRY(const client::ClassifierHead head, load_head(options.head));
  Costs costs;
  TACIT_TRY(const Features features, find_features(options, head, costs));
  TACIT_TRY(const std::vector<std::size_t> truth, find_truth(options, head, features));

  auto predictions = nlohmann::ordered_json::array();
  std::vector<std::string> lines;
  std::size_t right = 0;
  for (std::size_t row = 0; row < features.rows(); ++row) {
    const std::string name = features.images.empty() ? "row " + std::to_string(row) : features.images[row];
    auto probabilities = head.classifier.probabilities(features.table().row(row));
    if (!probabilities.ok()) return std::move(probabilities).error().within(name);
    const auto best =
        static_cast<std::size_t>(std::ranges::max_element(*probabilities) - probabilities->begin());
    if (!truth.empty()) right += truth[row] == best;
    nlohmann::ordered_json entry{{"row", row}};
    if (!features.images.empty()) entry["image"] = name;
    entry["label"] = head.labels[best];
    entry["probability"] = (*probabilities)[best];
    entry["probabilities"] = *probabilities;
    predictions.push_back(std::move(entry));
    lines.push_back(printable(name) + ": " + printable(head.labels[best]) + " (" +
                    format_number(100 * (*probabilities)[best], 1) + " %)");
  }
  for (const std::string& line : lines) say(line);
  const double accuracy = static_cast<double>(right) / static_cast<double>(features.rows());
  if (!truth.empty())
    say(std::to_string(right) + " of " + std::to_string(features.rows()) + " labels are right (" +
        format_number(100 * accuracy, 2) + " %)");
  const bool asked = !options.session.server.url.empty();
  if (asked) say(costs.summary());
  if (options.json) {
    nlohmann::ordered_json object;
    asked ? costs.write(object) : static_cast<void>(object["count"] = features.rows());
    object["labels"] = head.labels;
    if (!truth.empty()) object["accuracy"] = accuracy;
    object["predictions"] = std::move(predictions);
    print_json(object);
  }
  return {};
}

}  // namespace

void add_classify(CLI::App& app, Context& context) {
  CLI::App* verb = app.add_subcommand(
      "classify", "Classify features, or images by their encrypted features, with your own classifier");
  auto options = std::make_shared<ClassifyOptions>();
  verb->add_option("head", options->head, "Classifier head that tacit fit wrote")->required();
  CLI::Option* files = verb->add_option("inputs", options->images.files,
                                        "Table of features (.npy); with --server: image files");
  options->session.declare(*verb, false);
  options->images.declare_dataset(*verb, files);
  verb->add_option("--labels", options->labels,
                   "The true labels, to measure the accuracy: for each row as for tacit fit; for a --dataset "
                   "its IDX file of labels");
  verb->add_flag("--json", options->json, "Print labels and probabilities as one JSON object");
  when_chosen(*verb, context, options, classify);
}

}  // namespace tacit::app
