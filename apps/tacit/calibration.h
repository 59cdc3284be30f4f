// SPDX-License-Identifier: Apache-2.0
// The images that a model is calibrated on, and the description of how they are preprocessed.
#pragma once

#include <filesystem>
#include <span>
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

// Images as the network takes them, and for each the index of the output that should be the largest; no labels where they are
// not known.
struct CalibrationSet {
  std::vector<graph::Tensor> images;
  std::vector<std::size_t> labels;
};

struct CalibrationSource {
  // A .npy file of float32 tensors that are preprocessed already; an IDX file of images, plain or .gz; a folder of IDX files,
  // of which one with "train" in its name goes before others; or a folder of image files at any depth.
  std::filesystem::path path;
  // An IDX file of labels, or text with one label or number a line. Where it is empty, labels are those beside an IDX file
  // (client::labels_beside), or the names of the folders that image files are in, if all of these are labels.
  std::filesystem::path labels;
};

// At most `limit` images of `shape`, evenly spread over what there is. A label is one of `names` or a number below `outputs`.
// compile.calibration where there is no image; labels.invalid where named labels are not as many as the images or no labels
// of the model; file.not-found, tensor.shape, image.wrong-size and what the readers answer.
Result<CalibrationSet> load_calibration(const CalibrationSource& source, const graph::Shape& shape,
                                        const plan::Preprocessing& preprocessing,
                                        std::span<const std::string> names, std::size_t outputs,
                                        std::size_t limit);

}  // namespace tacit::app
