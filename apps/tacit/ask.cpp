// SPDX-License-Identifier: Apache-2.0
#include "ask.h"

#include <algorithm>

#include "client/image.h"
#include "console.h"

namespace tacit::app {

CLI::Option* ImageOptions::declare_files(CLI::App& verb) {
  return verb.add_option("images", files, "PNG, JPEG or PGM/PPM files of the model's size");
}

CLI::Option* ImageOptions::declare_dataset(CLI::App& verb, CLI::Option* files_option) {
  CLI::Option* option =
      verb.add_option("--dataset", dataset.path,
                      "Instead of files: a folder of images or with a subfolder for each label, an IDX file "
                      "of images, or a folder of IDX files");
  option->excludes(files_option);
  verb.add_option("--count", count, "How many images of the data set, from the first on (default: all)")
      ->check(CLI::PositiveNumber)
      ->needs(option);
  return option;
}

Result<std::vector<Question>> ImageOptions::load(const plan::ClientHalf& half) const {
  const plan::Shape& shape = half.input_shape();
  std::vector<Question> questions;
  const auto add = [&](const client::Image& image, std::string name, std::string label) -> Status {
    TACIT_TRY(std::vector<float> tensor, client::preprocess(image, shape, half.preprocessing, name));
    questions.push_back({std::move(name), std::move(label), std::move(tensor)});
    return {};
  };
  for (const std::filesystem::path& path : files) {
    TACIT_TRY(const client::Image image, client::load_image(path, shape.channels));
    TACIT_CHECK(add(image, path.string(), {}));
  }
  if (!dataset.path.empty()) {
    TACIT_TRY(std::vector<client::NamedImage> images, client::load_images(dataset, shape.channels, count));
    for (client::NamedImage& one : images)
      TACIT_CHECK(add(one.image, std::move(one.name), std::move(one.label)));
  }
  if (questions.empty())
    return Error{ErrorCode::kInvalidArgument, "there are no images; name image files, or a --dataset"};
  return questions;
}

Result<Answers> ask(const SessionFlags& flags, SessionFlags::Service service,
                    const std::vector<Question>& questions) {
  Answers answers;
  answers.half = service.half;
  TACIT_TRY(client::Session session, flags.open(std::move(service)));
  Costs& costs = answers.costs;
  ProgressLine progress("asking " + session.url());
  for (std::size_t first = 0; first < questions.size(); first += answers.half.batch()) {
    progress.update(first, questions.size());
    plan::Tensors images;
    for (std::size_t i = first; i < std::min(questions.size(), first + answers.half.batch()); ++i)
      images.push_back(questions[i].tensor);
    auto prediction = session.predict_batch(std::move(images));
    if (!prediction) return std::move(prediction).error().within(questions[first].name);
    costs.add(*prediction, prediction->outputs.size());
    for (std::vector<float>& outputs : prediction->outputs) answers.outputs.push_back(std::move(outputs));
  }
  progress.finish();
  costs.key_bytes = session.key_bytes();
  return answers;
}

}  // namespace tacit::app
