// SPDX-License-Identifier: Apache-2.0
// The compiled models that are served. Loaded once, before the first request; immutable afterwards.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/model.h"

namespace tacit::server {

struct ServedModel {
  std::shared_ptr<const runtime::Model> model;
  std::string etag;  // of the client half: its BLAKE2b-256 in quotation marks
};

// One file of the models folder, loaded or not.
struct ModelState {
  std::string name;  // the model's; the file's where it could not be loaded
  bool ready = false;
  std::string reason;  // stable error code where it is not ready
};

class ModelRegistry {
 public:
  // Every *.tacit of the folder, in the order of their names. A file that cannot be loaded, or has the name of another
  // model, is reported and stays in states() as not ready. kFileNotFound; kNoModels where none could be loaded.
  static Result<ModelRegistry> load(const std::filesystem::path& folder,
                                    const runtime::FloodingOptions& flooding = {});
  // Of models that are there already, with different names.
  explicit ModelRegistry(std::span<const std::shared_ptr<const runtime::Model>> models);
  ModelRegistry() = default;

  // kModelUnknown; kModelUnavailable for a file that could not be loaded.
  Result<const ServedModel*> find(std::string_view name) const;
  // In the order of their names.
  const std::map<std::string, ServedModel, std::less<>>& models() const { return models_; }
  const std::vector<ModelState>& states() const { return states_; }
  bool all_ready() const;

  // The parameters of some model that a key with this header could be for; kParametersMismatch where there is none.
  // Keys of one shape have the same bytes under all parameters that agree in the key's basis.
  Result<const ckks::Parameters*> parameters_for(const ckks::KeyHeader& header) const;

 private:
  bool add(std::shared_ptr<const runtime::Model> model);

  std::map<std::string, ServedModel, std::less<>> models_;
  std::vector<ModelState> states_;
};

// [a-z0-9._-]{1,64}
bool is_model_name(std::string_view text);
// Whether a key of this shape and basis can be used with these parameters.
bool fits(const ckks::Parameters& parameters, const ckks::KeyHeader& header);

}  // namespace tacit::server
