// SPDX-License-Identifier: Apache-2.0
#include "feature_file.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/file.h"
#include "base/idx.h"
#include "base/npy.h"
#include "batch.h"
#include "calibration.h"
#include "client/api.h"

namespace tacit::app {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::string_view kFormat = "tacit.features";
constexpr std::uint64_t kVersion = 1;
constexpr std::uint64_t kMaxDescriptionBytes = std::uint64_t{1} << 26;
constexpr std::uint64_t kMaxLabelFileBytes = std::uint64_t{1} << 28;
constexpr int kMaxDepth = 2;  // an object with arrays of strings

Error invalid_features(const fs::path& path, std::string_view trouble) {
  return Error{ErrorCode::kFeaturesInvalid, path.string() + std::string(trouble)};
}
Error malformed(const fs::path& path, std::string_view trouble) {
  return Error{ErrorCode::kJsonMalformed, path.string() + ": " + std::string(trouble)};
}

// The array of strings `name`; empty where it is missing.
Status read_strings(const fs::path& path, const json& page, const char* name, std::size_t rows,
                    std::vector<std::string>& out) {
  const auto found = page.find(name);
  if (found == page.end()) return {};
  if (!found->is_array() || !std::ranges::all_of(*found, [](const json& x) { return x.is_string(); }))
    return malformed(path, "field \"" + std::string(name) + "\" must be an array of strings");
  if (found->size() != rows)
    return invalid_features(path, " has " + std::to_string(found->size()) + " " + name + " for a table of " +
                                      std::to_string(rows) + " rows; delete it if the table was changed");
  for (const json& one : *found) out.push_back(one.get<std::string>());
  return {};
}

Status read_description(const fs::path& path, ByteView bytes, Features& features) {
  // Deeper structures are left out while they are read, so that they cannot fill the memory.
  const auto shallow = [](int depth, json::parse_event_t event, json&) {
    return depth < kMaxDepth ||
           (event != json::parse_event_t::array_start && event != json::parse_event_t::object_start);
  };
  const json page = json::parse(bytes.begin(), bytes.end(), shallow, false);
  if (!page.is_object()) return malformed(path, "this is not a JSON object");
  if (page.value("format", json()) != std::string(kFormat))
    return malformed(path, "field \"format\" must be \"" + std::string(kFormat) + "\"");
  if (page.value("version", json()) != kVersion)
    return Error{ErrorCode::kDataVersion, path.string() + " has not version " + std::to_string(kVersion) +
                                              ", which this release reads"};
  const json model = page.value("model", json());
  if (!model.is_string() || !client::is_model_name(model.get<std::string>()))
    return malformed(path, "field \"model\" must be a model's name");
  features.model = model.get<std::string>();
  if (page.value("features", json()) != features.columns)
    return invalid_features(path,
                            " describes a table with another number of features; delete it if the table "
                            "was changed");
  TACIT_CHECK(read_strings(path, page, "images", features.rows(), features.images));
  return read_strings(path, page, "labels", features.rows(), features.labels);
}

Status check_labels(const fs::path& path, const std::vector<std::string>& labels) {
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (labels[i].empty() || labels[i].size() > client::kMaxLabelBytes)
      return Error{ErrorCode::kLabelsInvalid,
                   path.string() + ": label " + std::to_string(i + 1) +
                       (labels[i].empty() ? " is empty" : " has more than 256 bytes")};
  return {};
}

template <class Numbers>
std::vector<std::string> as_decimals(const Numbers& numbers) {
  std::vector<std::string> labels;
  for (const auto number : numbers) labels.push_back(std::to_string(number));
  return labels;
}

// The value of a label that is an integer in decimal, and nothing else.
std::optional<std::int64_t> integer(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Features collect(const std::vector<Question>& questions, const Answers& answers) {
  Features features;
  features.columns = answers.half.output_shape().elements();
  features.model = answers.half.name;
  const bool labelled =
      std::ranges::none_of(questions, [](const Question& question) { return question.label.empty(); });
  for (std::size_t i = 0; i < questions.size(); ++i) {
    features.images.push_back(questions[i].name);
    if (labelled) features.labels.push_back(questions[i].label);
    features.data.insert(features.data.end(), answers.outputs[i].begin(), answers.outputs[i].end());
  }
  return features;
}

fs::path description_of(const fs::path& path) { return path.string() + ".json"; }

Result<Features> load_features(const fs::path& path) {
  TACIT_TRY(NpyArray array, load_npy(path));
  if (array.shape.size() < 2 || array.data.empty())
    return invalid_features(path, " is not a table of shape [rows, features] with at least one of each");
  Features features;
  features.columns = array.data.size() / static_cast<std::size_t>(array.shape.front());
  features.data = std::move(array.data);
  const fs::path description = description_of(path);
  std::error_code ignored;
  if (!fs::exists(description, ignored)) return features;
  TACIT_TRY(const Bytes bytes, read_file(description, kMaxDescriptionBytes));
  TACIT_CHECK(read_description(description, bytes, features));
  if (!features.labels.empty()) TACIT_CHECK(check_labels(description, features.labels));
  return features;
}

Status save_features(const fs::path& path, const plan::Shape& shape, const Features& features) {
  nlohmann::ordered_json page{{"format", kFormat},
                              {"version", kVersion},
                              {"model", features.model},
                              {"features", features.columns},
                              {"images", features.images}};
  if (!features.labels.empty()) page["labels"] = features.labels;
  // Names of files need not be UTF-8.
  const std::string text = page.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  TACIT_CHECK(save_batch(path, shape, features.data));
  return write_file_atomic(description_of(path), as_bytes(text));
}

Result<std::vector<std::string>> load_row_labels(const fs::path& path) {
  TACIT_TRY(const Bytes bytes, read_file(path, kMaxLabelFileBytes));
  const std::string_view text = as_text(bytes);
  if (text.starts_with("\x1f\x8b") || text.starts_with(std::string_view("\0\0", 2))) {
    TACIT_TRY(const Bytes labels, load_idx_labels(path));
    return as_decimals(labels);
  }
  if (text.starts_with("\x93NUMPY")) {
    auto integers = read_npy_integers(bytes);
    if (!integers.ok()) return std::move(integers).error().within(path.string());
    if (integers->shape.size() != 1)
      return Error{ErrorCode::kLabelsInvalid,
                   path.string() + " does not have one dimension, with one label for each row"};
    return as_decimals(integers->data);
  }
  std::vector<std::string> labels = split_labels(text);
  TACIT_CHECK(check_labels(path, labels));
  return labels;
}

IndexedLabels index_labels(const std::vector<std::string>& labels) {
  IndexedLabels result;
  result.names = labels;
  std::ranges::sort(result.names);
  const auto [first, last] = std::ranges::unique(result.names);
  result.names.erase(first, last);
  std::map<std::string_view, std::uint32_t> index;
  if (std::ranges::all_of(result.names, [](const std::string& name) { return integer(name).has_value(); }))
    std::ranges::stable_sort(result.names, {}, [](const std::string& name) { return *integer(name); });
  for (const std::string& name : result.names) index.emplace(name, static_cast<std::uint32_t>(index.size()));
  for (const std::string& label : labels) result.indices.push_back(index.at(label));
  return result;
}

}  // namespace tacit::app
