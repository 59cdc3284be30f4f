// SPDX-License-Identifier: Apache-2.0
#include "calibration.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/file.h"
#include "base/idx.h"
#include "batch.h"
#include "client/dataset.h"
#include "client/image.h"
#include "compiler/accuracy.h"
#include "graph/text.h"

namespace tacit::app {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::uint64_t kMaxTextBytes = std::uint64_t{1} << 20;

Error bad_field(const fs::path& path, const char* field, std::string_view trouble) {
  return Error{ErrorCode::kJsonMalformed,
               path.string() + ": field \"" + field + "\" " + std::string(trouble)};
}

// An integer from 1 to the largest dimension that a plan can have.
Status read_dimension(const fs::path& path, const json& page, const char* field, int& out) {
  const auto found = page.find(field);
  if (found == page.end() || !found->is_number_unsigned() || found->get<std::uint64_t>() < 1 ||
      found->get<std::uint64_t>() > plan::kMaxExtent)
    return bad_field(path, field, "must be an integer from 1 to " + std::to_string(plan::kMaxExtent));
  out = found->get<int>();
  return {};
}

Status read_numbers(const fs::path& path, const json& page, const char* field, int channels,
                    std::vector<double>& out) {
  const auto found = page.find(field);
  const bool usable = found != page.end() && found->is_array() &&
                      found->size() == static_cast<std::size_t>(channels) &&
                      std::all_of(found->begin(), found->end(), [](const json& x) { return x.is_number(); });
  if (!usable) return bad_field(path, field, "must be an array of one number for each channel");
  for (const json& x : *found) out.push_back(x.get<double>());
  return {};
}

Error no_images(const fs::path& path) {
  return Error{ErrorCode::kCompileCalibration,
               path.string() + " has no images; give a .npy file, an IDX file or a folder of image files"};
}

plan::Shape to_plan(const graph::Shape& shape) {
  return {static_cast<int>(shape.channels), static_cast<int>(shape.height), static_cast<int>(shape.width)};
}

// The output that a label means.
std::optional<std::size_t> output_of(std::string_view label, std::span<const std::string> names,
                                     std::size_t outputs) {
  const auto by_name = std::ranges::find(names, label);
  std::size_t number = static_cast<std::size_t>(by_name - names.begin());
  if (by_name == names.end()) {
    const auto [end, error] = std::from_chars(label.data(), label.data() + label.size(), number);
    if (error != std::errc() || end != label.data() + label.size()) return std::nullopt;
  }
  return number < outputs ? std::optional(number) : std::nullopt;
}

Error bad_labels(const fs::path& path, const std::string& trouble) {
  return Error{ErrorCode::kLabelsInvalid, path.string() + " " + trouble};
}

// Every image's label, as text.
Result<std::vector<std::string>> load_image_labels(const fs::path& path) {
  TACIT_TRY(const Bytes bytes, read_file(path, kMaxIdxBytes));
  const bool text =
      bytes.size() < 2 || !((bytes[0] == 0 && bytes[1] == 0) || (bytes[0] == 0x1f && bytes[1] == 0x8b));
  if (text) return split_labels(as_text(bytes));
  TACIT_TRY(const Bytes numbers, load_idx_labels(path));
  std::vector<std::string> labels;
  for (std::uint8_t number : numbers) labels.push_back(std::to_string(number));
  return labels;
}

class Loader {
 public:
  Loader(const graph::Shape& shape, const plan::Preprocessing& preprocessing, std::size_t limit)
      : shape_(shape), preprocessing_(preprocessing), limit_(limit) {}

  Result<CalibrationSet> load(const CalibrationSource& source, std::span<const std::string> names,
                              std::size_t outputs) {
    const fs::path& path = source.path;
    std::error_code ignored;
    if (fs::is_directory(path, ignored)) {
      TACIT_CHECK(from_folder(path));
    } else if (path.extension() == ".npy") {
      TACIT_TRY(const Batch batch, load_batch(path, to_plan(shape_)));
      take(batch.count);
      for (std::size_t i : taken_) add(std::vector<float>(batch[i].begin(), batch[i].end()));
    } else {
      TACIT_CHECK(from_idx(path));
    }
    if (images_.empty()) return no_images(path);
    CalibrationSet set;
    TACIT_TRY(set.labels, find_labels(source.labels, names, outputs));
    set.images = std::move(images_);
    return set;
  }

 private:
  void add(std::vector<float> tensor) { images_.push_back({shape_, std::move(tensor)}); }

  void take(std::size_t total) {
    total_ = total;
    taken_ = compiler::spread(total, limit_);
  }

  // Of the images that were taken. Labels that were named must be right; others are left out where they are not.
  Result<std::vector<std::size_t>> find_labels(const fs::path& named, std::span<const std::string> names,
                                               std::size_t outputs) {
    fs::path file = named;
    for (const fs::path& beside : idx_.empty() ? std::vector<fs::path>() : client::labels_beside(idx_)) {
      std::error_code ignored;
      if (file.empty() && fs::exists(beside, ignored)) file = beside;
    }
    if (!file.empty()) { TACIT_TRY(labels_, load_image_labels(file)); }
    if (labels_.size() != total_) {
      if (named.empty()) return std::vector<std::size_t>();
      return bad_labels(named, "has " + std::to_string(labels_.size()) + " labels, but there are " +
                                   std::to_string(total_) + " calibration images");
    }
    std::vector<std::size_t> result;
    for (std::size_t i : taken_) {
      const std::optional<std::size_t> output = output_of(labels_[i], names, outputs);
      if (!output && named.empty()) return std::vector<std::size_t>();
      if (!output)
        return bad_labels(named, "has the label " + graph::in_quotes(labels_[i]) +
                                     ", which is none of the network's and no number below " +
                                     std::to_string(outputs));
      result.push_back(*output);
    }
    return result;
  }

  Status add_image(const client::Image& image, const std::string& name) {
    TACIT_TRY(std::vector<float> tensor,
              client::preprocess(client::with_channels(image, static_cast<int>(shape_.channels)),
                                 to_plan(shape_), preprocessing_, name));
    add(std::move(tensor));
    return {};
  }

  Status check_channels(const fs::path& path) const {
    if (shape_.channels == 1 || shape_.channels == 3) return {};
    return Error{ErrorCode::kCompileCalibration,
                 path.string() + ": images have 1 or 3 channels, the network's input has " +
                     std::to_string(shape_.channels) + "; give preprocessed tensors in a .npy file"};
  }

  Status from_idx(const fs::path& path) {
    TACIT_CHECK(check_channels(path));
    auto loaded = load_idx_images(path);
    if (!loaded.ok()) return std::move(loaded).error();
    const IdxImages& file = *loaded;
    const std::size_t size = std::size_t{file.height} * file.width;
    idx_ = path;
    take(file.count);
    for (std::size_t i : taken_) {
      client::Image image{1, static_cast<int>(file.height), static_cast<int>(file.width), {}};
      const auto first = file.pixels.begin() + static_cast<std::ptrdiff_t>(i * size);
      image.pixels.assign(first, first + static_cast<std::ptrdiff_t>(size));
      TACIT_CHECK(add_image(image, path.string() + " image " + std::to_string(i)));
    }
    return {};
  }

  Status from_folder(const fs::path& folder) {
    constexpr std::array<std::string_view, 7> kEndings = {".png", ".jpg", ".jpeg", ".bmp",
                                                          ".pgm", ".ppm", ".pnm"};
    std::vector<fs::path> pictures, idx;
    std::error_code error;
    for (fs::recursive_directory_iterator file(folder, error), end; !error && file != end;
         file.increment(error)) {
      if (!file->is_regular_file(error)) continue;
      std::string ending = file->path().extension().string();
      std::transform(ending.begin(), ending.end(), ending.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      if (std::find(kEndings.begin(), kEndings.end(), ending) != kEndings.end())
        pictures.push_back(file->path());
      if (file->path().filename().string().find("images-idx3-ubyte") != std::string::npos)
        idx.push_back(file->path());
    }
    if (error)
      return Error{ErrorCode::kFileUnreadable, folder.string() + " cannot be read: " + error.message()};
    std::sort(pictures.begin(), pictures.end());
    std::sort(idx.begin(), idx.end());
    if (!idx.empty()) {
      const auto train = std::find_if(idx.begin(), idx.end(), [](const fs::path& path) {
        return path.filename().string().find("train") != std::string::npos;
      });
      return from_idx(train == idx.end() ? idx.front() : *train);
    }
    if (pictures.empty()) return no_images(folder);
    TACIT_CHECK(check_channels(folder));
    take(pictures.size());
    for (const fs::path& picture : pictures) labels_.push_back(picture.parent_path().filename().string());
    for (std::size_t i : taken_) {
      TACIT_TRY(const client::Image image,
                client::load_image(pictures[i], static_cast<int>(shape_.channels)));
      TACIT_CHECK(add_image(image, pictures[i].string()));
    }
    return {};
  }

  graph::Shape shape_;
  plan::Preprocessing preprocessing_;
  std::size_t limit_;
  std::vector<graph::Tensor> images_;
  std::size_t total_ = 0;            // images that there are
  std::vector<std::size_t> taken_;   // which of them
  fs::path idx_;                     // the file that they come from
  std::vector<std::string> labels_;  // of all, or none
};

}  // namespace

Result<ImageDescription> load_description(const fs::path& path) {
  TACIT_TRY(const Bytes bytes, read_file(path, kMaxTextBytes));
  const json page = json::parse(bytes.begin(), bytes.end(), nullptr, false);
  if (!page.is_object()) return Error{ErrorCode::kJsonMalformed, path.string() + " is not a JSON object"};
  ImageDescription description;
  TACIT_CHECK(read_dimension(path, page, "channels", description.shape.channels));
  TACIT_CHECK(read_dimension(path, page, "height", description.shape.height));
  TACIT_CHECK(read_dimension(path, page, "width", description.shape.width));
  const auto scale = page.find("scale");
  if (scale == page.end() || !scale->is_number() || !(scale->get<double>() > 0))
    return bad_field(path, "scale", "must be a positive number");
  description.preprocessing.scale = scale->get<double>();
  const int channels = description.shape.channels;
  TACIT_CHECK(read_numbers(path, page, "mean", channels, description.preprocessing.mean));
  TACIT_CHECK(read_numbers(path, page, "std", channels, description.preprocessing.deviation));
  if (!std::ranges::all_of(description.preprocessing.deviation, [](double x) { return x > 0; }))
    return bad_field(path, "std", "must have positive numbers only");
  if (const auto name = page.find("name"); name != page.end()) {
    if (!name->is_string()) return bad_field(path, "name", "must be a string");
    description.name = name->get<std::string>();
  }
  if (const auto labels = page.find("labels"); labels != page.end()) {
    if (!labels->is_array() ||
        !std::all_of(labels->begin(), labels->end(), [](const json& x) { return x.is_string(); }))
      return bad_field(path, "labels", "must be an array of strings");
    for (const json& label : *labels) description.labels.push_back(label.get<std::string>());
  }
  return description;
}

std::vector<std::string> split_labels(std::string_view text) {
  std::vector<std::string> labels(1);
  for (char c : text) {
    if (c == '\n')
      labels.emplace_back();
    else if (c != '\r')
      labels.back() += c;
  }
  while (!labels.empty() && labels.back().empty()) labels.pop_back();
  return labels;
}

Result<std::vector<std::string>> load_labels(const fs::path& path) {
  TACIT_TRY(const Bytes bytes, read_file(path, kMaxTextBytes));
  return split_labels(as_text(bytes));
}

Result<CalibrationSet> load_calibration(const CalibrationSource& source, const graph::Shape& shape,
                                        const plan::Preprocessing& preprocessing,
                                        std::span<const std::string> names, std::size_t outputs,
                                        std::size_t limit) {
  return Loader(shape, preprocessing, limit).load(source, names, outputs);
}

}  // namespace tacit::app
