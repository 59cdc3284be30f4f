// SPDX-License-Identifier: Apache-2.0
#include "server/model_registry.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "base/digest.h"
#include "server/limits.h"
#include "server/log.h"

namespace tacit::server {
namespace {

constexpr std::string_view kUnloaded = "unloaded";

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

Error no_models(const std::filesystem::path& folder) {
  return Error{ErrorCode::kNoModels, "no model could be loaded from " + folder.string() +
                                         ": there is no .tacit file; `tacit compile` makes one"};
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

FileStamp stamp_of(const std::filesystem::path& file) {
  FileStamp stamp{file, 0, 0, 0};
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return stamp;
  stamp.written = status.st_mtim.tv_sec * std::int64_t{1'000'000'000} + status.st_mtim.tv_nsec;
  stamp.bytes = static_cast<std::uint64_t>(status.st_size);
  stamp.inode = status.st_ino;
  return stamp;
}

std::shared_ptr<const ServedModel> serve(std::shared_ptr<const runtime::Model> model, FileStamp file) {
  const std::string etag = "\"" + to_hex(blake2b(as_bytes(model->client_json()))) + "\"";
  return std::make_shared<const ServedModel>(ServedModel{std::move(model), etag, std::move(file)});
}

// The file's model, which `earlier` may have.
Result<std::shared_ptr<const ServedModel>> load_file(const std::filesystem::path& file,
                                                     const runtime::FloodingOptions& flooding,
                                                     const ModelRegistry& earlier) {
  FileStamp stamp = stamp_of(file);
  if (auto served = earlier.of_file(file); served && served->file == stamp) return served;
  const auto start = std::chrono::steady_clock::now();
  TACIT_TRY(std::shared_ptr<const runtime::Model> model, runtime::Model::load(file, flooding));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  log_info("model loaded", {{"model", model->name()},
                            {"file", file.string()},
                            {"bytes", model->memory_bytes()},
                            {"ms", std::lround(seconds.count() * 1000)}});
  say_flooding(*model);
  return serve(std::move(model), std::move(stamp));
}

}  // namespace

Status check_models_folder(const std::filesystem::path& folder) {
  TACIT_TRY(const std::vector<std::filesystem::path> files, package_files(folder));
  return files.empty() ? Status(no_models(folder)) : Status();
}

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

bool ModelRegistry::add(std::shared_ptr<const ServedModel> served, std::string reason) {
  const std::string name = served->model->name();
  if (!models_.emplace(name, std::move(served)).second) return false;
  states_.push_back({name, true, std::move(reason)});
  return true;
}

ModelRegistry::ModelRegistry(std::span<const std::shared_ptr<const runtime::Model>> models) {
  for (const auto& model : models) add(serve(model, {}));
}

Result<ModelRegistry> ModelRegistry::load(const std::filesystem::path& folder,
                                          const runtime::FloodingOptions& flooding,
                                          const ModelRegistry& earlier, const Names& left_out) {
  TACIT_TRY(const std::vector<std::filesystem::path> files, package_files(folder));
  ModelRegistry registry;
  for (const std::filesystem::path& file : files) {
    auto served = load_file(file, flooding, earlier);
    std::string reason;
    if (!served.ok()) {
      reason = to_string(served.error().code);
      const auto before = earlier.of_file(file);
      log_error(before ? "model stays as it was" : "model skipped",
                {{"file", file.string()}, {"code", reason}, {"error", served.error().message}});
      if (before) served = before;
    }
    if (!served.ok()) {
      registry.states_.push_back({name_of(file), false, reason});
    } else if (const std::string& name = served.value()->model->name(); left_out.contains(name)) {
      registry.states_.push_back({name, false, std::string(kUnloaded)});
    } else if (!registry.add(*served, std::move(reason))) {
      log_error("model skipped: another file has the same name", {{"file", file.string()}, {"model", name}});
      registry.states_.push_back({name_of(file), false, std::string(to_string(ErrorCode::kInvalidArgument))});
    }
  }
  if (registry.models_.empty() && left_out.empty()) {
    if (files.empty()) return no_models(folder);
    return Error{ErrorCode::kNoModels,
                 "no model could be loaded from " + folder.string() + ": see the lines before this one"};
  }
  return registry;
}

Result<std::shared_ptr<const ServedModel>> ModelRegistry::find(std::string_view name) const {
  if (is_model_name(name)) {
    if (const auto found = models_.find(name); found != models_.end()) return found->second;
    if (const auto state = std::ranges::find(states_, name, &ModelState::name); state != states_.end()) {
      return Error{ErrorCode::kModelUnavailable,
                   state->reason == kUnloaded ? "the model \"" + state->name + "\" was taken out of service"
                                              : "the model \"" + state->name + "\" could not be loaded (" +
                                                    state->reason + "); see the server's log"};
    }
  }
  return Error{ErrorCode::kModelUnknown,
               "no model of this name is offered here; GET /v2/models lists those that are"};
}

std::shared_ptr<const ServedModel> ModelRegistry::of_file(const std::filesystem::path& file) const {
  const auto found =
      std::ranges::find_if(models_, [&](const auto& entry) { return entry.second->file.path == file; });
  return found == models_.end() ? nullptr : found->second;
}

bool ModelRegistry::all_loaded() const {
  return std::ranges::all_of(
      states_, [](const ModelState& state) { return state.reason.empty() || state.reason == kUnloaded; });
}

bool ModelRegistry::all_ready() const {
  return std::ranges::all_of(
      states_, [](const ModelState& state) { return state.ready || state.reason == kUnloaded; });
}

Result<std::shared_ptr<const ServedModel>> ModelRegistry::model_for(const ckks::KeyHeader& header) const {
  for (const auto& [name, served] : models_) {
    if (fits(served->model->parameters(), header)) return served;
  }
  return Error{
      ErrorCode::kParametersMismatch,
      "the evaluation key was made for parameters that no model here uses; make it from the client half that "
      "GET /v2/models/{model}/client answers"};
}

ModelShelf::ModelShelf(ModelRegistry registry, std::filesystem::path folder,
                       const runtime::FloodingOptions& flooding)
    : folder_(std::move(folder)),
      flooding_(flooding),
      registry_(std::make_shared<const ModelRegistry>(std::move(registry))) {}

std::shared_ptr<const ModelRegistry> ModelShelf::now() const {
  const std::lock_guard lock(mutex_);
  return registry_;
}

Status ModelShelf::replace(const ModelRegistry::Names& left_out) {
  TACIT_TRY(ModelRegistry read, ModelRegistry::load(folder_, flooding_, *now(), left_out));
  auto registry = std::make_shared<const ModelRegistry>(std::move(read));
  left_out_ = left_out;
  const std::lock_guard lock(mutex_);
  registry_.swap(registry);
  return {};
}

Status ModelShelf::reload() {
  const std::lock_guard lock(changing_);
  return replace(left_out_);
}

Status ModelShelf::load(std::string_view name) {
  const std::lock_guard lock(changing_);
  ModelRegistry::Names left_out = left_out_;
  if (const auto found = left_out.find(name); found != left_out.end()) left_out.erase(found);
  TACIT_CHECK(replace(left_out));
  const auto registry = now();
  TACIT_CHECK(registry->find(name));
  const auto state = std::ranges::find(registry->states(), name, &ModelState::name);
  if (!state->reason.empty())
    return Error{ErrorCode::kModelUnavailable, "the model's file cannot be loaded any more (" +
                                                   state->reason +
                                                   "), so it stays as it was; see the server's log"};
  return {};
}

Status ModelShelf::unload(std::string_view name) {
  const std::lock_guard lock(changing_);
  TACIT_CHECK(now()->find(name));
  ModelRegistry::Names left_out = left_out_;
  left_out.emplace(name);
  return replace(left_out);
}

}  // namespace tacit::server
