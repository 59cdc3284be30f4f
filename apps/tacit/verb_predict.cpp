// SPDX-License-Identifier: Apache-2.0
// tacit predict --server URL --model NAME IMAGE... [--json]
#include "ask.h"
#include "verbs.h"

namespace tacit::app {
namespace {

struct PredictOptions {
  SessionFlags session;
  ImageOptions images;
  bool json = false;
};

Status predict(const PredictOptions& options) {
  TACIT_TRY(SessionFlags::Service service, options.session.find());
  // All images are looked at before keys are made and the first one is sent.
  TACIT_TRY(const std::vector<Question> questions, options.images.load(service.half));
  TACIT_TRY(Answers answers, ask(options.session, std::move(service), questions));
  auto predictions = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const std::vector<float>& outputs = answers.outputs[i];
    std::size_t index = client::largest(outputs);
    nlohmann::ordered_json entry{{"image", questions[i].name},
                                 {"label", client::label_text(answers.half, index)}};
    std::string line = questions[i].name + ": " + client::label_text(answers.half, index);
    if (answers.half.softmax) {
      double probability = client::softmax(outputs)[index];
      entry["probability"] = probability;
      line += " (" + format_number(100 * probability, 1) + " %)";
    }
    predictions.push_back(std::move(entry));
    say(line);
  }
  say(answers.costs.summary());
  if (options.json) {
    nlohmann::ordered_json object;
    answers.costs.write(object);
    object["predictions"] = std::move(predictions);
    print_json(object);
  }
  return {};
}

}  // namespace

void add_predict(CLI::App& app, Context& context) {
  CLI::App* verb = app.add_subcommand("predict", "Have a server classify images that it cannot see");
  auto options = std::make_shared<PredictOptions>();
  options->session.declare(*verb);
  options->images.declare_files(*verb)->required();
  verb->add_flag("--json", options->json, "Print the result and what it cost as one JSON object");
  when_chosen(*verb, context, options, predict);
}

}  // namespace tacit::app
