// SPDX-License-Identifier: Apache-2.0
// Many images at once, to measure a model with or to get features of: IDX files, or a folder with one subfolder of
// image files for each label.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "client/image.h"

namespace tacit::client {

struct LabelledImage {
  std::string name;  // the file, or the number in an IDX file
  Image image;
  std::size_t label = 0;  // index into the model's labels
};

struct DatasetSource {
  // A folder of subfolders; an IDX file of images, plain or .gz; or a folder that has IDX files, of which
  // those of the test set ("t10k-images-...") go before others.
  std::filesystem::path path;
  // The IDX file of labels. Where it is empty it is looked for beside the images under their name with
  // "images" replaced by "labels" and "idx3" by "idx1", with and without ".gz".
  std::filesystem::path labels;
};

// The first `count` images (all, where `count` is 0). From subfolders they are taken in turns, the first of
// each label, then the second of each, files in the order of their names, so that every label is among a few.
// A subfolder is a label's text or, for labels that are not there by name, its number. file.not-found;
// dataset.invalid where there are fewer images than `count`, a label that the model does not know or no image
// at all; whatever load_image answers.
Result<std::vector<LabelledImage>> load_dataset(const DatasetSource& source,
                                                std::span<const std::string> label_names, std::size_t outputs,
                                                int channels, std::size_t count);

// An image of a data set whose labels, if it has any, need not be a model's.
struct NamedImage {
  std::string name;  // as in LabelledImage
  Image image;
  std::string
      label;  // the subfolder's name, the number in the file of labels; empty where there are no labels
};

// The same images as load_dataset, in the same order but for subfolders, which come in that of their names; and
// besides, without labels, IDX files that have none beside them and folders of image files without subfolders, in the
// order of their names. file.not-found; dataset.invalid where there are fewer images than `count` or none at all;
// whatever load_image answers.
Result<std::vector<NamedImage>> load_images(const DatasetSource& source, int channels, std::size_t count);

// Where the labels that belong to an IDX file of images are expected, the most likely place first.
std::vector<std::filesystem::path> labels_beside(const std::filesystem::path& images);

}  // namespace tacit::client
