// SPDX-License-Identifier: Apache-2.0
#include "server/model_registry.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>

#include "base/digest.h"
#include "server/limits.h"
#include "server/log.h"

namespace tacit::server {
namespace {

Result<std::vector<std::filesystem::path>> package_files(const std::filesystem::path& folder) {
  std::error_code failure;
  std::vector<std::filesystem::path> files;
  std::filesystem::directory_iterator entries(folder, failure);
  if (failure) {
    return Error{ErrorCode::kFileNotFound, "cannot read the models folder " + folder.string() + ": " +
                                               failure.message() +
                                               "; give the folder of .tacit files with --models"};
  }
  for (; !failure && entries != std::filesystem::directory_iterator(); entries.increment(failure)) {
    if (entries->path().extension() == ".tacit") files.push_back(entries->path());
  }
  std::ranges::sort(files);
  return files;
}

// A file name as it may stand in a page: what is no character of a model name is replaced.
std::string name_of(const std::filesystem::path& file) {
  std::string name = file.stem().string().substr(0, kMaxModelNameBytes);
  for (char& c : name) {
    if (!is_model_name({&c, 1})) c = '_';
  }
  return name.empty() ? "_" : name;
}

std::string one_digit(double x) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f", x);
  return text.data();
}

void say_flooding(const runtime::Model& model) {
  for (std::size_t stage = 0; stage < model.stages().size(); ++stage)
    for (std::size_t i = 0; i < model.stages()[stage].outputs.size(); ++i) {
      const runtime::Flooding& flooding = model.flooding(stage)[i];
      const std::string& name = model.plan().values[model.stages()[stage].outputs[i]].name;
      log_info("model " + model.name() + ", result " + name + ": " +
               (flooding.deviation == 0
                    ? "leaves as it was computed"
                    : "noise of 2^" + one_digit(flooding.strength_bits) + " times what it hides; precision " +
                          one_digit(flooding.precision_before) + " bits, then " +
                          one_digit(flooding.precision_after)));
    }
}

}  // namespace

bool is_model_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxModelNameBytes && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  });
}

bool fits(const ckks::Parameters& parameters, const ckks::KeyHeader& header) {
  const ckks::KeyShape& shape = header.request.shape;
  return header.log_degree == parameters.log_degree() && parameters.admits(shape) &&
         header.basis == parameters.basis_digest(shape.level, shape.special_count);
}

bool ModelRegistry::add(std::shared_ptr<const runtime::Model> model) {
  const std::string name = model->name();
  const std::string etag = "\"" + to_hex(blake2b(as_bytes(model->client_json()))) + "\"";
  if (!models_.emplace(name, ServedModel{std::move(model), etag}).second) return false;
  states_.push_back({name, true, ""});
  return true;
}

ModelRegistry::ModelRegistry(std::span<const std::shared_ptr<const runtime::Model>> models) {
  for (const auto& model : models) add(model);
}

Result<ModelRegistry> ModelRegistry::load(const std::filesystem::path& folder,
                                          const runtime::FloodingOptions& flooding) {
  TACIT_TRY(const std::vector<std::filesystem::path> files, package_files(folder));
  ModelRegistry registry;
  for (const std::filesystem::path& file : files) {
    const auto start = std::chrono::steady_clock::now();
    auto model = runtime::Model::load(file, flooding);
    if (!model.ok()) {
      log_error("model skipped: " + model.error().to_line());
      registry.states_.push_back({name_of(file), false, std::string(to_string(model.error().code))});
      continue;
    }
    const auto& loaded = *model.value();
    const std::string line = "model " + loaded.name() + " loaded from " + file.string() + ", " +
                             std::to_string(loaded.memory_bytes() >> 20) + " MiB";
    if (!registry.add(model.value())) {
      log_error("model skipped: " + file.string() + " has the name " + loaded.name() +
                ", which another file has too");
      registry.states_.push_back({name_of(file), false, std::string(to_string(ErrorCode::kInvalidArgument))});
      continue;
    }
    say_flooding(loaded);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    log_info(line + ", " + std::to_string(seconds.count()).substr(0, 5) + " s");
  }
  if (registry.models_.empty()) {
    return Error{ErrorCode::kNoModels,
                 "no model could be loaded from " + folder.string() +
                     (files.empty() ? ": there is no .tacit file; `tacit compile` makes one"
                                    : ": see the lines before this one")};
  }
  return registry;
}

Result<const ServedModel*> ModelRegistry::find(std::string_view name) const {
  if (is_model_name(name)) {
    if (const auto found = models_.find(name); found != models_.end()) return &found->second;
    const auto named = [&](const ModelState& state) { return state.name == name; };
    if (const auto state = std::ranges::find_if(states_, named); state != states_.end()) {
      return Error{ErrorCode::kModelUnavailable, "the model \"" + state->name + "\" could not be loaded (" +
                                                     state->reason + "); see the server's log"};
    }
  }
  return Error{ErrorCode::kModelUnknown,
               "no model of this name is offered here; GET /v2/models lists those that are"};
}

bool ModelRegistry::all_ready() const {
  return std::ranges::all_of(states_, [](const ModelState& state) { return state.ready; });
}

Result<const ckks::Parameters*> ModelRegistry::parameters_for(const ckks::KeyHeader& header) const {
  for (const auto& [name, served] : models_) {
    if (fits(served.model->parameters(), header)) return &served.model->parameters();
  }
  return Error{
      ErrorCode::kParametersMismatch,
      "the evaluation key was made for parameters that no model here uses; make it from the client half that "
      "GET /v2/models/{model}/client answers"};
}

}  // namespace tacit::server
