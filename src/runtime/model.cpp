// SPDX-License-Identifier: Apache-2.0
#include "runtime/model.h"

#include "base/file.h"
#include "runtime/cipher.h"

namespace tacit::runtime {

struct Model::State {
  State(plan::Package p, ckks::Parameters q) : package(std::move(p)), parameters(std::move(q)) {}

  plan::Package package;
  ckks::Parameters parameters;
  std::string client_json;
  std::unique_ptr<const EncodedPlan> encoded;  // refers to package.plan
};

Model::Model(std::unique_ptr<State> state) : state_(std::move(state)) {}
Model::~Model() = default;

Result<std::shared_ptr<const Model>> Model::load(const std::filesystem::path& path) {
  TACIT_TRY(const Bytes bytes, read_file(path, plan::kMaxPackageBytes));
  auto package = plan::read_package(bytes);
  if (!package.ok()) return std::move(package).error().within(path.string());
  auto model = create(std::move(package).value());
  if (!model.ok()) return std::move(model).error().within(path.string());
  return model;
}

Result<std::shared_ptr<const Model>> Model::create(plan::Package package) {
  TACIT_CHECK(package.plan.validate());
  TACIT_TRY(ckks::Parameters parameters, ckks::Parameters::create(package.plan.parameters));
  auto state = std::make_unique<State>(std::move(package), std::move(parameters));
  state->client_json = plan::to_json(state->package.client);
  TACIT_TRY(EncodedPlan encoded, EncodedPlan::create(state->package.plan, state->parameters));
  state->encoded = std::make_unique<const EncodedPlan>(std::move(encoded));
  return std::shared_ptr<const Model>(new Model(std::move(state)));
}

const plan::ClientHalf& Model::client_half() const { return state_->package.client; }
const std::string& Model::client_json() const { return state_->client_json; }
const plan::Plan& Model::plan() const { return state_->package.plan; }
const ckks::Parameters& Model::parameters() const { return state_->parameters; }
std::size_t Model::memory_bytes() const { return state_->encoded->memory_bytes(); }

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

Result<ckks::Ciphertext> Model::run(const ckks::EvaluationKeys& keys, const ckks::Ciphertext& input,
                                    const Progress& progress) const {
  if (input.size() != 2) {
    return Error{ErrorCode::kDataMalformed, "the input ciphertext must have two parts"};
  }
  TACIT_CHECK(check_keys(keys));
  CipherArithmetic arithmetic(*state_->encoded, keys);
  return execute(plan(), arithmetic, input, progress);
}

Result<Bytes> Model::run(const ckks::EvaluationKeys& keys, const ckks::KeyTag& tag, ByteView input,
                         const Progress& progress) const {
  TACIT_TRY(const ckks::TaggedCiphertext tagged, ckks::read_ciphertext(parameters(), input));
  if (tagged.tag != tag) {
    return Error{
        ErrorCode::kParametersMismatch,
        "the ciphertext and the evaluation keys belong to different secret keys; encrypt with the key "
        "that the evaluation keys were made from"};
  }
  TACIT_TRY(const ckks::Ciphertext output, run(keys, tagged.ciphertext, progress));
  return ckks::write_ciphertext(parameters(), output, tag);
}

}  // namespace tacit::runtime
