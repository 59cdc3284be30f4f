// SPDX-License-Identifier: Apache-2.0
#include "runtime/model.h"

#include <algorithm>

#include "base/file.h"
#include "base/parallel.h"
#include "runtime/cipher.h"
#include "runtime/memory.h"
#include "runtime/result_guard.h"

namespace tacit::runtime {

struct Model::State {
  State(plan::Package p, ckks::Parameters q) : package(std::move(p)), parameters(std::move(q)) {}

  plan::Package package;
  ckks::Parameters parameters;
  std::string client_json;
  std::vector<plan::Stage> stages;
  std::uint64_t run_bytes = 0;
  std::unique_ptr<const EncodedPlan> encoded;  // refers to package.plan
  std::unique_ptr<const ResultGuard> guard;    // and so does this
};

Model::Model(std::unique_ptr<State> state) : state_(std::move(state)) {}
Model::~Model() = default;

Result<std::shared_ptr<const Model>> Model::load(const std::filesystem::path& path,
                                                 const FloodingOptions& options) {
  TACIT_TRY(const Bytes bytes, read_file(path, plan::kMaxPackageBytes));
  auto package = plan::read_package(bytes);
  if (!package.ok()) return std::move(package).error().within(path.string());
  auto model = create(std::move(package).value(), options);
  if (!model.ok()) return std::move(model).error().within(path.string());
  return model;
}

Result<std::shared_ptr<const Model>> Model::create(plan::Package package, const FloodingOptions& options) {
  TACIT_CHECK(package.plan.validate());
  TACIT_TRY(ckks::Parameters parameters, ckks::Parameters::create(package.plan.parameters));
  auto state = std::make_unique<State>(std::move(package), std::move(parameters));
  state->client_json = plan::to_json(state->package.client);
  state->stages = plan::stages_of(state->package.plan);
  TACIT_TRY(const MemoryEstimate memory, estimate_memory(state->package.plan));
  state->run_bytes = memory.keys + memory.ciphertexts;
  TACIT_TRY(EncodedPlan encoded, EncodedPlan::create(state->package.plan, state->parameters));
  state->encoded = std::make_unique<const EncodedPlan>(std::move(encoded));
  TACIT_TRY(ResultGuard guard, ResultGuard::create(*state->encoded, state->stages, options));
  state->guard = std::make_unique<const ResultGuard>(std::move(guard));
  return std::shared_ptr<const Model>(new Model(std::move(state)));
}

const plan::ClientHalf& Model::client_half() const { return state_->package.client; }
const std::string& Model::client_json() const { return state_->client_json; }
const plan::Plan& Model::plan() const { return state_->package.plan; }
const ckks::Parameters& Model::parameters() const { return state_->parameters; }
std::size_t Model::memory_bytes() const { return state_->encoded->memory_bytes(); }
std::uint64_t Model::run_bytes() const { return state_->run_bytes; }

const std::string& Model::layer_name(std::size_t stage, std::size_t done) const {
  const std::vector<std::size_t>& operations = stages()[stage].operations;
  const std::size_t at = operations[std::min(done, operations.size() - 1)];
  return plan().values[plan::output_of(plan().operations[at])].name;
}

Status Model::check_keys(const ckks::EvaluationKeys& keys) const {
  for (const ckks::KeyRequest& request : plan().keys) {
    TACIT_TRY(const ckks::SwitchingKey* key, keys.find(request.element, request.shape.level));
    const ckks::KeyShape& shape = key->request.shape;
    if (shape.digit_size != request.shape.digit_size || shape.special_count != request.shape.special_count) {
      return Error{ErrorCode::kKeyMissing,
                   "the evaluation key for element " + std::to_string(request.element) +
                       " has another shape than the model asks for; make keys for this model"};
    }
  }
  return {};
}

const std::vector<plan::Stage>& Model::stages() const { return state_->stages; }
const std::vector<Flooding>& Model::flooding(std::size_t stage) const {
  return state_->guard->flooding(stage);
}

namespace {

std::vector<plan::ValueId> ciphertexts_of(const plan::Plan& plan, const std::vector<plan::ValueId>& values) {
  std::vector<plan::ValueId> result;
  for (plan::ValueId id : values) {
    const plan::Value& value = plan.values[id];
    result.insert(result.end(), ciphertext_count(value.layout, value.period, plan.slots), id);
  }
  return result;
}

}  // namespace

std::vector<plan::ValueId> Model::input_ciphertexts(std::size_t stage) const {
  return ciphertexts_of(plan(), stages()[stage].inputs);
}

std::vector<plan::ValueId> Model::output_ciphertexts(std::size_t stage) const {
  return ciphertexts_of(plan(), stages()[stage].outputs);
}

Result<CipherVector> Model::run(const ckks::EvaluationKeys& keys, std::size_t stage, CipherVector input,
                                const Progress& progress) const {
  if (stage >= stages().size())
    return Error{ErrorCode::kInvalidArgument, "the model has " + std::to_string(stages().size()) +
                                                  " stages, there is no stage " + std::to_string(stage)};
  const std::vector<plan::ValueId> places = input_ciphertexts(stage);
  if (input.size() != places.size())
    return Error{ErrorCode::kDataMalformed, "the model's input takes " + std::to_string(places.size()) +
                                                " ciphertexts, the request has " +
                                                std::to_string(input.size())};
  std::vector<CipherVector> inputs;
  for (std::size_t i = 0; i < input.size(); ++i) {
    const plan::Value& value = plan().values[places[i]];
    if (input[i].size() != 2)
      return Error{ErrorCode::kDataMalformed, "an input ciphertext must have two parts"};
    if (input[i].level() != value.level)
      return Error{ErrorCode::kLevelMismatch, "an input ciphertext has level " +
                                                  std::to_string(input[i].level()) +
                                                  ", the model takes level " + std::to_string(value.level)};
    if (!ckks::same_scale(input[i].scale, value.scale))
      return Error{ErrorCode::kScaleMismatch, "an input ciphertext has another scale than the model takes"};
    if (i == 0 || places[i] != places[i - 1]) inputs.emplace_back();
    inputs.back().push_back(std::move(input[i]));
  }
  TACIT_CHECK(check_keys(keys));
  CipherArithmetic arithmetic(*state_->encoded, keys);
  TACIT_TRY(std::vector<CipherVector> made,
            execute_stage(plan(), stages()[stage], arithmetic, std::move(inputs), progress));
  CipherVector output;
  for (std::size_t i = 0; i < made.size(); ++i) {
    TACIT_TRY(CipherVector guarded, state_->guard->apply(stage, i, std::move(made[i]), keys));
    for (ckks::Ciphertext& ciphertext : guarded) output.push_back(std::move(ciphertext));
  }
  return output;
}

Result<std::vector<Bytes>> Model::run(const ckks::EvaluationKeys& keys, const ckks::KeyTag& tag,
                                      std::size_t stage, std::span<const ByteView> input,
                                      const Progress& progress) const {
  CipherVector ciphertexts(input.size());
  AlignedVector<Status> statuses(input.size());
  parallel_for(input.size(), [&](std::size_t i) {
    Result<ckks::TaggedCiphertext> tagged = ckks::read_ciphertext(parameters(), input[i]);
    if (!tagged.ok()) {
      statuses[i] = std::move(tagged).error();
    } else if (tagged->tag != tag) {
      statuses[i] = Error{
          ErrorCode::kParametersMismatch,
          "the ciphertext and the evaluation keys belong to different secret keys; encrypt with the key "
          "that the evaluation keys were made from"};
    } else {
      ciphertexts[i] = std::move(tagged->ciphertext);
    }
  });
  for (Status& status : statuses) TACIT_CHECK(status);
  TACIT_TRY(const CipherVector output, run(keys, stage, std::move(ciphertexts), progress));
  std::vector<Bytes> bytes(output.size());
  parallel_for(output.size(),
               [&](std::size_t i) { bytes[i] = ckks::write_ciphertext(parameters(), output[i], tag); });
  return bytes;
}

}  // namespace tacit::runtime
