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

// One label and the files that have it.
struct Class {
  std::string folder;
  std::size_t label = 0;  // what the caller makes of the folder's name
  std::vector<fs::path> files;
};

Result<std::vector<Class>> list_classes(const std::vector<fs::path>& folders) {
  std::vector<Class> classes;
  for (const fs::path& folder : folders) {
    TACIT_TRY(std::vector<fs::path> files, list(folder, false));
    classes.push_back({folder.filename().string(), 0, std::move(files)});
  }
  return classes;
}

// How many of `total` images are meant; 0 means all.
Result<std::size_t> resolve_count(const fs::path& path, std::size_t count, std::size_t total,
                                  const char* trouble) {
  if (total == 0) return invalid(path.string() + trouble);
  if (count > total) return too_few(path, total, count);
  return count == 0 ? total : count;
}

// In turns: the first file of each class, then the second of each.
template <class Keep>
Status from_classes(const fs::path& path, const std::vector<Class>& classes, int channels, std::size_t count,
                    const Keep& keep) {
  std::size_t total = 0, longest = 0, taken = 0;
  for (const Class& one : classes) {
    total += one.files.size();
    longest = std::max(longest, one.files.size());
  }
  TACIT_TRY(count, resolve_count(path, count, total, " has subfolders, but no image in any of them"));
  for (std::size_t turn = 0; turn < longest; ++turn) {
    for (const Class& one : classes) {
      if (turn >= one.files.size() || taken == count) continue;
      TACIT_TRY(Image image, load_image(one.files[turn], channels));
      keep(one, one.files[turn].string(), std::move(image));
      ++taken;
    }
  }
  return {};
}

// The labels named, or those beside the images; nothing where there are none.
Result<std::optional<Bytes>> find_labels(const DatasetSource& source, const fs::path& images) {
  fs::path found = source.labels;
  for (const fs::path& candidate : labels_beside(images)) {
    std::error_code ignored;
    if (found.empty() && fs::exists(candidate, ignored)) found = candidate;
  }
  if (found.empty()) return std::optional<Bytes>();
  TACIT_TRY(Bytes labels, load_idx_labels(found));
  return std::optional(std::move(labels));
}

Error no_labels(const fs::path& images) {
  const std::vector<fs::path> candidates = labels_beside(images);
  return Error{ErrorCode::kFileNotFound,
               "there are no labels beside " + images.string() + " (" +
                   (candidates.empty() ? "its name does not tell theirs"
                                       : candidates.front().string() + " is missing") +
                   "); name them with --labels FILE"};
}

// Calls keep(number, name, image, label), the label -1 where there are none, for the first `count` images.
template <class Keep>
Status from_idx(const fs::path& path, const IdxImages& stored, const std::optional<Bytes>& labels,
                int channels, std::size_t count, const Keep& keep) {
  if (labels && labels->size() != stored.count) {
    return invalid(path.string() + " has " + std::to_string(stored.count) + " images, but there are " +
                   std::to_string(labels->size()) + " labels for them");
  }
  TACIT_TRY(count, resolve_count(path, count, stored.count, " has no images"));
  std::size_t size = static_cast<std::size_t>(stored.height) * stored.width;
  for (std::size_t i = 0; i < count; ++i) {
    auto first = stored.pixels.begin() + static_cast<std::ptrdiff_t>(i * size);
    Image image{1, static_cast<int>(stored.height), static_cast<int>(stored.width),
                Bytes(first, first + static_cast<std::ptrdiff_t>(size))};
    TACIT_CHECK(keep(i, path.filename().string() + "[" + std::to_string(i) + "]",
                     with_channels(std::move(image), channels), labels ? int{(*labels)[i]} : -1));
  }
  return {};
}

Result<std::vector<LabelledImage>> labelled_from_idx(const DatasetSource& source, const fs::path& path,
                                                     std::size_t outputs, int channels, std::size_t count) {
  TACIT_TRY(const IdxImages stored, load_idx_images(path));
  TACIT_TRY(const std::optional<Bytes> labels, find_labels(source, path));
  if (!labels) return no_labels(path);
  std::vector<LabelledImage> images;
  TACIT_CHECK(
      from_idx(path, stored, labels, channels, count,
               [&](std::size_t i, std::string name, Image image, int label) -> Status {
                 if (static_cast<std::size_t>(label) >= outputs) {
                   return invalid("image " + std::to_string(i) + " of " + path.string() + " has the label " +
                                  std::to_string(label) + ", but the model has only " +
                                  std::to_string(outputs) + " outputs");
                 }
                 images.push_back({std::move(name), std::move(image), static_cast<std::size_t>(label)});
                 return {};
               }));
  return images;
}

Result<std::vector<LabelledImage>> labelled_from_subfolders(const fs::path& path,
                                                            const std::vector<fs::path>& folders,
                                                            std::span<const std::string> names,
                                                            std::size_t outputs, int channels,
                                                            std::size_t count) {
  TACIT_TRY(std::vector<Class> classes, list_classes(folders));
  for (Class& one : classes) { TACIT_TRY(one.label, label_of(one.folder, names, outputs)); }
  std::stable_sort(classes.begin(), classes.end(),
                   [](const Class& a, const Class& b) { return a.label < b.label; });
  std::vector<LabelledImage> images;
  TACIT_CHECK(
      from_classes(path, classes, channels, count, [&](const Class& one, std::string name, Image image) {
        images.push_back({std::move(name), std::move(image), one.label});
      }));
  return images;
}

Result<std::vector<NamedImage>> named_from_idx(const DatasetSource& source, const fs::path& path,
                                               int channels, std::size_t count) {
  TACIT_TRY(const IdxImages stored, load_idx_images(path));
  TACIT_TRY(const std::optional<Bytes> labels, find_labels(source, path));
  std::vector<NamedImage> images;
  TACIT_CHECK(from_idx(path, stored, labels, channels, count,
                       [&](std::size_t, std::string name, Image image, int label) -> Status {
                         images.push_back({std::move(name), std::move(image),
                                           label < 0 ? std::string() : std::to_string(label)});
                         return {};
                       }));
  return images;
}

Result<std::vector<NamedImage>> named_from_files(const fs::path& path, const std::vector<fs::path>& files,
                                                 int channels, std::size_t count) {
  TACIT_TRY(count, resolve_count(path, count, files.size(), " has no images"));
  std::vector<NamedImage> images;
  for (std::size_t i = 0; i < count; ++i) {
    TACIT_TRY(Image image, load_image(files[i], channels));
    images.push_back({files[i].string(), std::move(image), {}});
  }
  return images;
}

// What a data set's path leads to.
struct Contents {
  std::optional<fs::path> idx;    // a file of images
  std::vector<fs::path> folders;  // subfolders, if there are any
  std::vector<fs::path> files;    // the folder's own files, where it has no subfolders
};

Result<Contents> look_into(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) return Error{ErrorCode::kFileNotFound, "there is no data set " + path.string()};
  Contents contents;
  if (!fs::is_directory(status)) {
    contents.idx = path;
    return contents;
  }
  TACIT_TRY(contents.folders, list(path, true));
  if (!contents.folders.empty()) return contents;
  TACIT_TRY(contents.files, list(path, false));
  contents.idx = idx_images_in(contents.files);
  return contents;
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
  TACIT_TRY(const Contents contents, look_into(source.path));
  if (contents.idx) return labelled_from_idx(source, *contents.idx, outputs, channels, count);
  if (!contents.folders.empty())
    return labelled_from_subfolders(source.path, contents.folders, label_names, outputs, channels, count);
  return invalid(source.path.string() +
                 " has neither subfolders named by label nor IDX files (...-images-idx3-ubyte)");
}

Result<std::vector<NamedImage>> load_images(const DatasetSource& source, int channels, std::size_t count) {
  TACIT_TRY(const Contents contents, look_into(source.path));
  if (contents.idx) return named_from_idx(source, *contents.idx, channels, count);
  if (contents.folders.empty()) return named_from_files(source.path, contents.files, channels, count);
  TACIT_TRY(const std::vector<Class> classes, list_classes(contents.folders));
  std::vector<NamedImage> images;
  TACIT_CHECK(from_classes(source.path, classes, channels, count,
                           [&](const Class& one, std::string name, Image image) {
                             images.push_back({std::move(name), std::move(image), one.folder});
                           }));
  return images;
}

}  // namespace tacit::client
