// SPDX-License-Identifier: Apache-2.0
// Decrypted features on disk: a .npy table, the page beside it that says what it is, and labels for its rows.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "ask.h"
#include "base/result.h"
#include "client/softmax_regression.h"
#include "plan/layout.h"

namespace tacit::app {

struct Features {
  std::size_t columns = 0;
  std::vector<float> data;          // row-major, at least one row
  std::string model;                // whose outputs they are; empty where that is not known
  std::vector<std::string> images;  // one for each row; empty where they are not known
  std::vector<std::string> labels;  // one for each row; empty where they are not known

  std::size_t rows() const { return data.size() / columns; }
  client::FeatureTable table() const { return {columns, data}; }
};

// The answers as a table; with labels where each question has one.
Features collect(const std::vector<Question>& questions, const Answers& answers);

// Where the page that belongs to a table is: FEATURES.npy.json (protocol/head-file.md).
std::filesystem::path description_of(const std::filesystem::path& path);

// A .npy file of numbers of shape [n, ...], each row flattened, with what the page beside it says, if there is one.
// features.invalid for another shape, json.malformed and data.version for a page that is none, features.invalid for one
// of another table.
Result<Features> load_features(const std::filesystem::path& path);

// Writes the table, [n, channels] or [n, channels, height, width], and its page.
Status save_features(const std::filesystem::path& path, const plan::Shape& shape, const Features& features);

// One label for each row: an IDX file of labels, plain or .gz; a .npy file of integers in one dimension; or text, one
// label a line. labels.invalid where a label is empty or longer than 256 bytes.
Result<std::vector<std::string>> load_row_labels(const std::filesystem::path& path);

// Labels as numbers.
struct IndexedLabels {
  std::vector<std::string> names;      // all different: by value if all are integers, else by their bytes
  std::vector<std::uint32_t> indices;  // into `names`, one for each label
};
IndexedLabels index_labels(const std::vector<std::string>& labels);

}  // namespace tacit::app
