// SPDX-License-Identifier: Apache-2.0
#include "client/session.h"

#include <algorithm>
#include <chrono>
#include <map>

namespace tacit::client {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

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
                                                 printable(half->name) + "\" when asked for \"" +
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

Result<Prediction> Session::predict(std::span<const float> tensor) {
  Prediction prediction;
  Clock::time_point start = Clock::now();
  TACIT_TRY(const std::vector<Bytes> ciphertexts, cipher_.encrypt(tensor));
  prediction.encrypt_ms = milliseconds_since(start);

  TACIT_TRY(InferRequest request, encode_infer_request(key_id_, ciphertexts));
  prediction.upload_bytes = request.body.size();
  start = Clock::now();
  TACIT_TRY(InferAnswer answer, api_.infer(half().name, request));
  prediction.round_trip_ms = milliseconds_since(start);
  prediction.server_ms = answer.compute_ms;
  prediction.download_bytes = answer.received_bytes;
  prediction.server_peak_memory_bytes = answer.peak_memory_bytes;

  start = Clock::now();
  auto outputs = cipher_.decrypt(answer.ciphertexts);
  if (!outputs) return std::move(outputs).error().within("the answer of " + api_.url());
  prediction.outputs = std::move(outputs).value();
  prediction.decrypt_ms = milliseconds_since(start);
  return prediction;
}

}  // namespace tacit::client
