// SPDX-License-Identifier: Apache-2.0
#include "ask.h"

#include "client/image.h"
#include "console.h"

namespace tacit::app {

CLI::Option* ImageOptions::declare_files(CLI::App& verb) {
  return verb.add_option("images", files, "PNG, JPEG, BMP or PGM/PPM files of the model's size");
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
  const plan::Shape& shape = half.input.shape;
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
  for (std::size_t i = 0; i < questions.size(); ++i) {
    progress.update(i, questions.size());
    auto prediction = session.predict(questions[i].tensor);
    if (!prediction) return std::move(prediction).error().within(questions[i].name);
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

}  // namespace tacit::app
