// SPDX-License-Identifier: Apache-2.0
#include "client/session.h"

#include <algorithm>
#include <chrono>
#include <map>

#include "base/stopwatch.h"

namespace tacit::client {
namespace {

using Clock = std::chrono::steady_clock;

template <class Function, class... Args>
void tell(const Function& function, Args... args) {
  if (function) function(args...);
}

// Before days are spent on keys that nobody can store: the server chose the requests.
Status check_key_size(const plan::ClientHalf& half) {
  constexpr std::uint64_t kMostBytes = std::uint64_t{64} << 30;
  TACIT_TRY(ckks::Parameters parameters, ckks::Parameters::create(half.parameters));
  std::uint64_t bytes = 0;
  for (const ckks::KeyRequest& request : half.keys) bytes += ckks::key_bytes(parameters, request.shape);
  if (bytes <= kMostBytes) return {};
  return Error{ErrorCode::kDataTooLarge,
               "the model " + half.name + " asks for " + std::to_string(bytes >> 30) +
                   " GiB of evaluation keys; at most " + std::to_string(kMostBytes >> 30) + " GiB are made"};
}

Error still_missing(const std::string& url, std::size_t count) {
  return Error{ErrorCode::kServerProtocol, url + " says that " + std::to_string(count) +
                                               " evaluation keys are missing that it has just received"};
}

}  // namespace

Result<plan::ClientHalf> fetch_client_half(Api& api, std::string_view model) {
  TACIT_TRY(std::string text, api.client_half(model));
  auto half = plan::client_half_from_json(text);
  if (!half)
    return std::move(half).error().within("the client half of " + std::string(model) + " is refused");
  if (half->name != model) {
    return Error{ErrorCode::kServerProtocol, api.url() + " answered with the model \"" +
                                                 server_text(half->name) + "\" when asked for \"" +
                                                 std::string(model) + "\""};
  }
  return half;
}

Result<Session> Session::open(Api api, const plan::ClientHalf& half, const SessionOptions& options) {
  TACIT_CHECK(check_key_size(half));
  const int log_degree = half.parameters.log_degree;
  if (!options.folder) {
    TACIT_TRY(secret::SecretKey key, secret::SecretKey::generate(log_degree));
    TACIT_TRY(ModelCipher cipher, ModelCipher::create(half, key));
    Session session(std::move(api), std::move(cipher));
    TACIT_CHECK(session.provide_fresh_keys(options.events));
    return session;
  }
  TACIT_TRY(OpenedKey opened, options.folder->open_or_create(log_degree, options.passphrase));
  if (opened.created) tell(options.events.key_created, log_degree, options.folder->key_file(log_degree));
  TACIT_TRY(ModelCipher cipher, ModelCipher::create(half, opened.key));
  Session session(std::move(api), std::move(cipher));
  PieceCache cache(*options.folder, opened.key.tag());
  Status provided = session.provide_keys(cache, options.events);
  // A damaged piece was removed from the cache; the second time it is made anew.
  if (!provided && provided.error().code == ErrorCode::kDataMalformed) {
    provided = session.provide_keys(cache, options.events);
  }
  if (!provided) return std::move(provided).error();
  return session;
}

Status Session::provide_keys(const PieceCache& cache, const SessionEvents& events) {
  const std::vector<ckks::KeyRequest>& requests = half().keys;
  std::vector<Digest> digests;
  std::map<Digest, std::uint64_t> sizes;
  bool announced = false;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    Digest basis = cipher_.basis(requests[i]);
    std::optional<Digest> digest = cache.find(requests[i], basis);
    if (!digest) {
      if (!announced) tell(events.keys_made, i, requests.size());
      announced = true;
      TACIT_TRY(Bytes bytes, cipher_.make_key(requests[i]));
      TACIT_TRY(digest, cache.store(requests[i], basis, bytes));
    }
    digests.push_back(*digest);
    sizes[*digest] = ckks::key_bytes(cipher_.parameters(), requests[i].shape);
    if (announced) tell(events.keys_made, i + 1, requests.size());
  }

  TACIT_TRY(KeySet set, api_.register_keys(half().name, digests));
  if (set.id.empty()) {
    std::uint64_t total = 0, done = 0;
    for (const Digest& digest : set.missing) {
      if (!sizes.contains(digest)) {
        return Error{ErrorCode::kServerProtocol,
                     api_.url() + " asks for an evaluation key that was not offered"};
      }
      total += sizes[digest];
    }
    tell(events.keys_uploaded, std::uint64_t{0}, total);
    for (const Digest& digest : set.missing) {
      TACIT_TRY(Bytes bytes, cache.load(digest));
      TACIT_CHECK(api_.upload_piece(digest, bytes, [&](std::uint64_t sent, std::uint64_t) {
        tell(events.keys_uploaded, done + sent, total);
      }));
      done += bytes.size();
      tell(events.keys_uploaded, done, total);
    }
    uploaded_key_bytes_ += done;
    TACIT_TRY(set, api_.register_keys(half().name, digests));
    if (set.id.empty()) return still_missing(api_.url(), set.missing.size());
  }
  key_id_ = set.id;
  return {};
}

Status Session::provide_fresh_keys(const SessionEvents& events) {
  const std::vector<ckks::KeyRequest>& requests = half().keys;
  std::vector<Digest> digests;
  tell(events.keys_made, std::size_t{0}, requests.size());
  // A new key's pieces can be nowhere yet, so each is sent as soon as it is made and not kept.
  for (const ckks::KeyRequest& request : requests) {
    TACIT_TRY(Bytes bytes, cipher_.make_key(request));
    digests.push_back(blake2b(bytes));
    TACIT_CHECK(api_.upload_piece(digests.back(), bytes));
    uploaded_key_bytes_ += bytes.size();
    tell(events.keys_made, digests.size(), requests.size());
  }
  TACIT_TRY(KeySet set, api_.register_keys(half().name, digests));
  if (set.id.empty()) return still_missing(api_.url(), set.missing.size());
  key_id_ = set.id;
  return {};
}

// How values travel between this client and its server (plan/run_steps.h).
class Session::Way {
 public:
  Way(Session& session, std::size_t images, PredictionCosts& costs)
      : session_(session), images_(images), costs_(costs), requests_(session.half().requests()) {}

  Result<std::vector<Bytes>> encrypt(const plan::ClientValue& value, const plan::Tensors& tensors) {
    const Clock::time_point start = Clock::now();
    TACIT_TRY(std::vector<Bytes> ciphertexts, session_.cipher_.encrypt(value, tensors));
    costs_.encrypt_ms += milliseconds_since(start);
    return ciphertexts;
  }

  Result<plan::Tensors> decrypt(const plan::ClientValue& value, const std::vector<Bytes>& ciphertexts) {
    const Clock::time_point start = Clock::now();
    auto tensors = session_.cipher_.decrypt(value, ciphertexts, images_);
    if (!tensors) return std::move(tensors).error().within("the answer of " + session_.url());
    costs_.decrypt_ms += milliseconds_since(start);
    return tensors;
  }

  Result<std::vector<std::vector<Bytes>>> ask(std::size_t stage, std::vector<std::vector<Bytes>> inputs) {
    std::vector<Bytes> ciphertexts;
    for (std::vector<Bytes>& input : inputs)
      for (Bytes& ciphertext : input) ciphertexts.push_back(std::move(ciphertext));
    TACIT_TRY(const InferRequest request, encode_infer_request(session_.key_id_, stage, ciphertexts));
    costs_.upload_bytes += request.body.size();
    const Clock::time_point start = Clock::now();
    TACIT_TRY(InferAnswer answer, session_.api_.infer(session_.half().name, request));
    costs_.round_trip_ms += milliseconds_since(start);
    costs_.server_ms += answer.compute_ms;
    costs_.download_bytes += answer.received_bytes;
    if (answer.peak_memory_bytes) costs_.server_peak_memory_bytes = answer.peak_memory_bytes;
    return split(stage, std::move(answer.ciphertexts));
  }

 private:
  // The ciphertexts of each output.
  Result<std::vector<std::vector<Bytes>>> split(std::size_t stage, std::vector<Bytes> ciphertexts) const {
    const plan::ClientHalf& half = session_.half();
    std::vector<std::vector<Bytes>> outputs;
    std::size_t next = 0;
    for (std::uint32_t value : requests_[stage].outputs) {
      const std::size_t count = half.ciphertexts(half.values[value]);
      std::vector<Bytes>& output = outputs.emplace_back();
      while (output.size() < count && next < ciphertexts.size())
        output.push_back(std::move(ciphertexts[next++]));
    }
    if (next == ciphertexts.size() && !outputs.back().empty() &&
        outputs.back().size() == half.ciphertexts(half.values[requests_[stage].outputs.back()]))
      return outputs;
    return Error{ErrorCode::kServerProtocol, "the answer of " + session_.url() + " has " +
                                                 std::to_string(ciphertexts.size()) +
                                                 " ciphertexts, the model's outputs take another number"};
  }

  Session& session_;
  std::size_t images_;
  PredictionCosts& costs_;
  std::vector<plan::Request> requests_;
};

Result<BatchPrediction> Session::predict_batch(plan::Tensors images) {
  BatchPrediction prediction;
  const std::size_t count = images.size();
  TACIT_TRY(prediction.outputs, plan::run_steps<std::vector<Bytes>>(half(), std::move(images), half().output,
                                                                    Way(*this, count, prediction)));
  return prediction;
}

Result<Prediction> Session::predict(std::span<const float> tensor) {
  TACIT_TRY(BatchPrediction batch, predict_batch({{tensor.begin(), tensor.end()}}));
  Prediction prediction;
  static_cast<PredictionCosts&>(prediction) = batch;
  prediction.outputs = std::move(batch.outputs.front());
  return prediction;
}

}  // namespace tacit::client
