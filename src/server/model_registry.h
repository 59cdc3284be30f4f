// SPDX-License-Identifier: Apache-2.0
// The compiled models that are served: a registry is what there was at one moment, the shelf has the present one.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "runtime/model.h"

namespace tacit::server {

// What tells a file from its successor without reading it.
struct FileStamp {
  std::filesystem::path path;
  std::int64_t written = 0;  // as the file system counts
  std::uint64_t bytes = 0, inode = 0;
  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

struct ServedModel {
  std::shared_ptr<const runtime::Model> model;
  std::string etag;  // of the client half: its BLAKE2b-256 in quotation marks
  FileStamp file;
};

// One file of the models folder, loaded or not.
struct ModelState {
  std::string name;  // the model's; the file's where it could not be loaded
  bool ready = false;
  // A stable error code where the file cannot be loaded: it is not ready then, or what the file had before is served. "unloaded"
  // where it was taken out.
  std::string reason;
};

// Immutable.
class ModelRegistry {
 public:
  using Names = std::set<std::string, std::less<>>;

  // Every *.tacit of the folder, in the order of their names. A file that cannot be loaded, or has the name of another
  // model, is reported and stays in states() as not ready; so does a model that `left_out` names. What `earlier` has of a file is
  // kept where the file has not changed, and where it cannot be loaded any more: then the model's state says why. kFileNotFound;
  // kNoModels where none could be loaded.
  static Result<ModelRegistry> load(const std::filesystem::path& folder,
                                    const runtime::FloodingOptions& flooding = {},
                                    const ModelRegistry& earlier = {}, const Names& left_out = {});
  // Of models that are there already, with different names.
  explicit ModelRegistry(std::span<const std::shared_ptr<const runtime::Model>> models);
  ModelRegistry() = default;

  // kModelUnknown; kModelUnavailable for a file that could not be loaded, or that was taken out.
  Result<std::shared_ptr<const ServedModel>> find(std::string_view name) const;
  // In the order of their names.
  const std::map<std::string, std::shared_ptr<const ServedModel>, std::less<>>& models() const {
    return models_;
  }
  const std::vector<ModelState>& states() const { return states_; }
  bool all_ready() const;
  // Whether every file could be loaded: none is left out for its own sake, and none served as it was before.
  bool all_loaded() const;

  // The model that was loaded from this file, or null.
  std::shared_ptr<const ServedModel> of_file(const std::filesystem::path& file) const;
  // Some model that a key with this header could be for; kParametersMismatch where there is none.
  // Keys of one shape have the same bytes under all parameters that agree in the key's basis.
  Result<std::shared_ptr<const ServedModel>> model_for(const ckks::KeyHeader& header) const;

 private:
  bool add(std::shared_ptr<const ServedModel> served, std::string reason = {});

  std::map<std::string, std::shared_ptr<const ServedModel>, std::less<>> models_;
  std::vector<ModelState> states_;
};

// The registry that requests begin with now. A request keeps the one that it began with, so that nothing is dropped when another
// takes its place. May be used from several threads at once.
class ModelShelf {
 public:
  // An empty `folder` cannot be read anew.
  ModelShelf(ModelRegistry registry, std::filesystem::path folder,
             const runtime::FloodingOptions& flooding = {});

  std::shared_ptr<const ModelRegistry> now() const;
  // Reads the folder anew; takes as long as loading takes. Where that fails the present models stay. Errors of
  // ModelRegistry::load.
  Status reload();
  // Reads the folder anew, this model included even where it was taken out. kModelUnknown, kModelUnavailable.
  Status load(std::string_view name);
  // Takes a model out until load() or the next start. kModelUnknown.
  Status unload(std::string_view name);

 private:
  Status replace(const ModelRegistry::Names& left_out);

  const std::filesystem::path folder_;
  const runtime::FloodingOptions flooding_;
  std::mutex changing_;            // held while a folder is read
  ModelRegistry::Names left_out_;  // guarded by changing_
  mutable std::mutex mutex_;
  std::shared_ptr<const ModelRegistry> registry_;
};

// Whether the folder can be read and has a .tacit file, whatever is in it. kFileNotFound, kNoModels.
Status check_models_folder(const std::filesystem::path& folder);
// [a-z0-9._-]{1,64}
bool is_model_name(std::string_view text);
// Whether a key of this shape and basis can be used with these parameters.
bool fits(const ckks::Parameters& parameters, const ckks::KeyHeader& header);

}  // namespace tacit::server
