// SPDX-License-Identifier: Apache-2.0
// tacit predict --server URL --model NAME IMAGE... [--json], and tacit features, which keeps the outputs.
#include "batch.h"
#include "client/image.h"
#include "key_options.h"
#include "verbs.h"

namespace tacit::app {
namespace {

struct Options {
  SessionFlags session;
  std::vector<std::filesystem::path> images;
  std::filesystem::path output;  // features only
  bool json = false;
};

struct Answers {
  plan::ClientHalf half;
  std::vector<std::vector<float>> outputs;  // one for each image, in their order
  Costs costs;
};

Result<Answers> ask_for_all(const Options& options) {
  TACIT_TRY(SessionFlags::Service service, options.session.find());
  const plan::ClientHalf half = service.half;
  // All images are looked at before keys are made and the first one is sent.
  std::vector<std::vector<float>> tensors;
  for (const std::filesystem::path& path : options.images) {
    TACIT_TRY(client::Image image, client::load_image(path, half.input_shape().channels));
    TACIT_TRY(tensors.emplace_back(),
              client::preprocess(image, half.input_shape(), half.preprocessing, path.string()));
  }
  TACIT_TRY(client::Session session, options.session.open(std::move(service)));
  Answers answers;
  answers.half = half;
  Costs& costs = answers.costs;
  ProgressLine progress("asking " + session.url());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    progress.update(i, tensors.size());
    auto prediction = session.predict(tensors[i]);
    if (!prediction) return std::move(prediction).error().within(options.images[i].string());
    answers.outputs.push_back(std::move(prediction->outputs));
    costs.encrypt_ms.push_back(prediction->encrypt_ms);
    costs.server_ms.push_back(prediction->server_ms);
    costs.decrypt_ms.push_back(prediction->decrypt_ms);
    costs.upload_bytes = prediction->upload_bytes;
    costs.download_bytes = prediction->download_bytes;
    costs.peak_memory_bytes = prediction->server_peak_memory_bytes;
  }
  progress.finish();
  costs.key_bytes = session.key_bytes();
  return answers;
}

Status predict(const Options& options) {
  TACIT_TRY(Answers answers, ask_for_all(options));
  auto predictions = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < options.images.size(); ++i) {
    const std::vector<float>& outputs = answers.outputs[i];
    std::size_t index = client::largest(outputs);
    nlohmann::ordered_json entry{{"image", options.images[i].string()},
                                 {"label", client::label_text(answers.half, index)}};
    std::string line = options.images[i].string() + ": " + client::label_text(answers.half, index);
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

Status features(const Options& options) {
  TACIT_TRY(Answers answers, ask_for_all(options));
  std::vector<float> all;
  for (const std::vector<float>& outputs : answers.outputs)
    all.insert(all.end(), outputs.begin(), outputs.end());
  TACIT_CHECK(save_batch(options.output, answers.half.output_shape(), all));
  say(answers.costs.summary());
  if (options.json) {
    nlohmann::ordered_json object;
    answers.costs.write(object);
    print_json(object);
  }
  return {};
}

std::shared_ptr<Options> declare(CLI::App& verb) {
  auto options = std::make_shared<Options>();
  options->session.declare(verb);
  verb.add_option("images", options->images, "PNG, JPEG, BMP or PGM/PPM files of the model's size")
      ->required();
  verb.add_flag("--json", options->json, "Print the result and what it cost as one JSON object");
  return options;
}

}  // namespace

void add_predict(CLI::App& app, Context& context) {
  CLI::App* verb = app.add_subcommand("predict", "Have a server classify images that it cannot see");
  when_chosen(*verb, context, declare(*verb), predict);
}

void add_features(CLI::App& app, Context& context) {
  CLI::App* verb =
      app.add_subcommand("features", "Have a server compute a network's outputs for images it cannot see");
  auto options = declare(*verb);
  verb->add_option("--output", options->output, "Receives [n, outputs...] as float32 .npy")->required();
  when_chosen(*verb, context, options, features);
}

}  // namespace tacit::app
