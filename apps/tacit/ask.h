// SPDX-License-Identifier: Apache-2.0
// Asking a server about many images: where they come from, what comes back and what it cost.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "batch.h"
#include "client/dataset.h"
#include "key_options.h"

namespace tacit::app {

// One image as the network takes it.
struct Question {
  std::string name;   // the file, or the number in a data set
  std::string label;  // what the data set says it is; empty where it says nothing
  std::vector<float> tensor;
};

// IMAGE... or --dataset with --count.
struct ImageOptions {
  std::vector<std::filesystem::path> files;
  client::DatasetSource dataset;
  std::size_t count = 0;  // of the data set; 0: all

  // The verb's positional arguments.
  CLI::Option* declare_files(CLI::App& verb);
  // --dataset and --count, which exclude `files_option`.
  CLI::Option* declare_dataset(CLI::App& verb, CLI::Option* files_option);
  // Every image, read and preprocessed. argument.invalid where there is neither a file nor a data set; what
  // load_image, load_images and preprocess answer.
  Result<std::vector<Question>> load(const plan::ClientHalf& half) const;
};

struct Answers {
  plan::ClientHalf half;
  std::vector<std::vector<float>> outputs;  // one for each question, in their order
  Costs costs;
};

// Opens the session, asks one question after the other and tells on standard error how far it is.
Result<Answers> ask(const SessionFlags& flags, SessionFlags::Service service,
                    const std::vector<Question>& questions);

}  // namespace tacit::app
