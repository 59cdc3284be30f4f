// SPDX-License-Identifier: Apache-2.0
#include "client/dataset.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <system_error>

#include "base/idx.h"

namespace tacit::client {
namespace {

namespace fs = std::filesystem;

Error invalid(std::string message) { return Error{ErrorCode::kDatasetInvalid, std::move(message)}; }

Error too_few(const fs::path& path, std::size_t found, std::size_t wanted) {
  return invalid(path.string() + " has " + std::to_string(found) + " images, but " + std::to_string(wanted) +
                 " are asked for");
}

// Names in a folder, sorted, without those that begin with a dot.
Result<std::vector<fs::path>> list(const fs::path& folder, bool folders) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    bool matches = folders ? it->is_directory(ignored) : it->is_regular_file(ignored);
    if (matches && it->path().filename().string().front() != '.') found.push_back(it->path());
  }
  if (error) {
    return Error{ErrorCode::kFileUnreadable, "cannot list " + folder.string() + ": " + error.message()};
  }
  std::sort(found.begin(), found.end());
  return found;
}

bool contains(const fs::path& path, std::string_view part) {
  return path.filename().string().find(part) != std::string::npos;
}

// The IDX file of images in a folder, if there is one.
std::optional<fs::path> idx_images_in(const std::vector<fs::path>& files) {
  std::optional<fs::path> found;
  for (const fs::path& file : files) {
    if (!contains(file, "idx3-ubyte")) continue;
    if (!found || (contains(file, "t10k") && !contains(*found, "t10k"))) found = file;
  }
  return found;
}

Result<std::size_t> label_of(const std::string& folder, std::span<const std::string> names,
                             std::size_t outputs) {
  auto by_name = std::find(names.begin(), names.end(), folder);
  if (by_name != names.end()) return static_cast<std::size_t>(by_name - names.begin());
  std::size_t number = 0;
  auto [end, error] = std::from_chars(folder.data(), folder.data() + folder.size(), number);
  if (error == std::errc() && end == folder.data() + folder.size() && number < outputs) return number;
  return invalid("the subfolder \"" + folder + "\" is none of the model's labels" +
                 (names.empty() ? std::string() : " (\"" + names.front() + "\", ...)") +
                 " and no number below " + std::to_string(outputs));
}

Result<std::vector<LabelledImage>> from_subfolders(const fs::path& path, const std::vector<fs::path>& folders,
                                                   std::span<const std::string> names, std::size_t outputs,
                                                   int channels, std::size_t count) {
  struct Class {
    std::size_t label;
    std::vector<fs::path> files;
  };
  std::vector<Class> classes;
  std::size_t total = 0, longest = 0;
  for (const fs::path& folder : folders) {
    TACIT_TRY(std::size_t label, label_of(folder.filename().string(), names, outputs));
    TACIT_TRY(std::vector<fs::path> files, list(folder, false));
    total += files.size();
    longest = std::max(longest, files.size());
    classes.push_back({label, std::move(files)});
  }
  if (total == 0) return invalid(path.string() + " has subfolders, but no image in any of them");
  if (count > total) return too_few(path, total, count);
  if (count == 0) count = total;
  std::stable_sort(classes.begin(), classes.end(),
                   [](const Class& a, const Class& b) { return a.label < b.label; });

  std::vector<LabelledImage> images;
  images.reserve(count);
  for (std::size_t turn = 0; turn < longest; ++turn) {
    for (const Class& one : classes) {
      if (turn >= one.files.size() || images.size() == count) continue;
      TACIT_TRY(Image image, load_image(one.files[turn], channels));
      images.push_back({one.files[turn].string(), std::move(image), one.label});
    }
  }
  return images;
}

Result<Bytes> labels_for(const DatasetSource& source, const fs::path& images) {
  if (!source.labels.empty()) return load_idx_labels(source.labels);
  std::vector<fs::path> candidates = labels_beside(images);
  for (const fs::path& candidate : candidates) {
    std::error_code ignored;
    if (fs::exists(candidate, ignored)) return load_idx_labels(candidate);
  }
  return Error{ErrorCode::kFileNotFound,
               "there are no labels beside " + images.string() + " (" +
                   (candidates.empty() ? "its name does not tell theirs"
                                       : candidates.front().string() + " is missing") +
                   "); name them with --labels FILE"};
}

Result<std::vector<LabelledImage>> from_idx(const DatasetSource& source, const fs::path& path,
                                            std::size_t outputs, int channels, std::size_t count) {
  TACIT_TRY(IdxImages stored, load_idx_images(path));
  TACIT_TRY(Bytes labels, labels_for(source, path));
  if (labels.size() != stored.count) {
    return invalid(path.string() + " has " + std::to_string(stored.count) + " images, but there are " +
                   std::to_string(labels.size()) + " labels for them");
  }
  if (stored.count == 0) return invalid(path.string() + " has no images");
  if (count > stored.count) return too_few(path, stored.count, count);
  if (count == 0) count = stored.count;
  std::size_t size = static_cast<std::size_t>(stored.height) * stored.width;
  std::vector<LabelledImage> images;
  images.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (labels[i] >= outputs) {
      return invalid("image " + std::to_string(i) + " of " + path.string() + " has the label " +
                     std::to_string(labels[i]) + ", but the model has only " + std::to_string(outputs) +
                     " outputs");
    }
    auto first = stored.pixels.begin() + static_cast<std::ptrdiff_t>(i * size);
    Image image{1, static_cast<int>(stored.height), static_cast<int>(stored.width),
                Bytes(first, first + static_cast<std::ptrdiff_t>(size))};
    images.push_back({path.filename().string() + "[" + std::to_string(i) + "]",
                      with_channels(std::move(image), channels), labels[i]});
  }
  return images;
}

}  // namespace

std::vector<fs::path> labels_beside(const fs::path& images) {
  std::string name = images.filename().string();
  std::size_t at = name.rfind("images");
  if (at == std::string::npos) return {};
  name.replace(at, std::strlen("images"), "labels");
  if (at = name.rfind("idx3"); at != std::string::npos) name.replace(at, std::strlen("idx3"), "idx1");
  bool compressed = name.ends_with(".gz");
  std::string other = compressed ? name.substr(0, name.size() - 3) : name + ".gz";
  return {images.parent_path() / name, images.parent_path() / other};
}

Result<std::vector<LabelledImage>> load_dataset(const DatasetSource& source,
                                                std::span<const std::string> label_names, std::size_t outputs,
                                                int channels, std::size_t count) {
  std::error_code error;
  fs::file_status status = fs::status(source.path, error);
  if (!fs::exists(status)) {
    return Error{ErrorCode::kFileNotFound, "there is no data set " + source.path.string()};
  }
  if (!fs::is_directory(status)) return from_idx(source, source.path, outputs, channels, count);
  TACIT_TRY(std::vector<fs::path> folders, list(source.path, true));
  if (!folders.empty()) return from_subfolders(source.path, folders, label_names, outputs, channels, count);
  TACIT_TRY(std::vector<fs::path> files, list(source.path, false));
  if (auto images = idx_images_in(files)) return from_idx(source, *images, outputs, channels, count);
  return invalid(source.path.string() +
                 " has neither subfolders named by label nor IDX files (...-images-idx3-ubyte)");
}

}  // namespace tacit::client
