// SPDX-License-Identifier: Apache-2.0
// The images that a model is calibrated on, and the description of how they are preprocessed.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "graph/execute.h"
#include "plan/package.h"

namespace tacit::app {

// The page that a model's preprocessing.json is: {"name", "channels", "height", "width", "scale", "mean",
// "std", "labels"}; the name and the labels may be missing.
struct ImageDescription {
  std::string name;
  plan::Shape shape;
  plan::Preprocessing preprocessing;
  std::vector<std::string> labels;
};

// json.malformed, naming the field; file.not-found.
Result<ImageDescription> load_description(const std::filesystem::path& path);

// One label a line; empty lines at the end are dropped.
std::vector<std::string> split_labels(std::string_view text);
Result<std::vector<std::string>> load_labels(const std::filesystem::path& path);

// At most `limit` images of `shape`, evenly spread over what there is: a .npy file of float32 tensors that
// are preprocessed already; an IDX file of images, plain or .gz; a folder of IDX files, of which one with
// "train" in its name goes before others; or a folder of image files at any depth. compile.calibration where
// there is no image; file.not-found, tensor.shape, image.wrong-size and what the readers answer.
Result<std::vector<graph::Tensor>> load_calibration(const std::filesystem::path& path,
                                                    const graph::Shape& shape,
                                                    const plan::Preprocessing& preprocessing,
                                                    std::size_t limit);

}  // namespace tacit::app
