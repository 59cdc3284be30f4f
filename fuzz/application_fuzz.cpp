// SPDX-License-Identifier: Apache-2.0
// Sequences of requests to the whole application, with a real model, real keys and a state folder of their own: routes with
// bodies that are right, damaged or anything, under identifiers that are there, that were, and that never were. Every
// answer is one that the server gives, and what is left of the state is in order.
//
// Input: requests one after the other: a route, an identifier, a body, fields.
#include <algorithm>
#include <array>

#include "server/binary_tensor.h"
#include "server/json.h"
#include "small_server.h"
#include "target.h"

namespace tacit::fuzz {
namespace {

using namespace server;

constexpr std::size_t kMaxRequests = 16;

struct Route {
  Method method;
  const char* path;  // '*' stands for an identifier
};
constexpr std::array kRoutes = {Route{Method::kPut, "/v2/keys/pieces/*"},
                                Route{Method::kGet, "/v2/keys/pieces/*"},
                                Route{Method::kPut, "/v2/keys/pieces/*/parts/0"},
                                Route{Method::kPut, "/v2/keys/pieces/*/parts/1"},
                                Route{Method::kDelete, "/v2/keys/pieces/*/parts"},
                                Route{Method::kPost, "/v2/keys"},
                                Route{Method::kGet, "/v2/keys"},
                                Route{Method::kGet, "/v2/keys/*"},
                                Route{Method::kDelete, "/v2/keys/*"},
                                Route{Method::kPost, "/v2/models/lenet/infer"},
                                Route{Method::kPost, "/v2/models/*/infer"},
                                Route{Method::kGet, "/v2/jobs"},
                                Route{Method::kGet, "/v2/jobs/*"},
                                Route{Method::kDelete, "/v2/jobs/*"},
                                Route{Method::kGet, "/v2/jobs/*/result"},
                                Route{Method::kGet, "/v2/jobs/*/events"},
                                Route{Method::kPost, "/v2/jobs/*/input"},
                                Route{Method::kGet, "/v2/models/lenet"},
                                Route{Method::kGet, "/v2/models/lenet/client"},
                                Route{Method::kGet, "/v2/models"},
                                Route{Method::kGet, "/v2/health/ready"},
                                Route{Method::kPost, "/v2/repository/index"},
                                Route{Method::kPost, "/v2/repository/models/lenet/load"},
                                Route{Method::kPost, "/v2/repository/models/*/unload"},
                                Route{Method::kGet, "/openapi.json"}};

// What an honest client has; made once.
struct Client {
  Client() {
    const TestClient client(test::unwrap(ckks::Parameters::create(small_package().plan.parameters)));
    for (const ckks::KeyRequest& request : small_package().plan.keys)
      pieces.push_back(client.make_piece(request));
    std::vector<Digest> sorted;
    Json names = Json::array();
    for (const Bytes& piece : pieces) {
      sorted.push_back(blake2b(piece));
      names.push_back(to_hex(sorted.back()));
    }
    std::ranges::sort(sorted);
    key_id = to_hex(key_set_id(sorted));
    set = Json{{"model", "lenet"}, {"pieces", names}}.dump();
    ciphertext = client.encrypt(std::vector<double>(16, 0.5), small_package().client);
    json = inference_json(key_id, ciphertext);
    ByteWriter out;
    out.raw(as_bytes(json));
    out.blob(ciphertext);
    inference = std::move(out).take();
  }
  std::vector<Bytes> pieces;
  std::string key_id, set, json;
  Bytes ciphertext, inference;
};

class Sequence {
 public:
  Sequence(Input& in, const Client& client) : in_(in), client_(client) {}

  void run() {
    for (std::size_t i = 0; i < kMaxRequests && !in_.empty(); ++i) one();
    server_.end();
  }

 private:
  void one() {
    const Route& route = kRoutes[in_.below(kRoutes.size())];
    RequestHead head;
    head.method = route.method;
    head.id = "fuzz";
    head.fields.add("Host", "localhost");
    std::string path = route.path;
    const std::size_t piece = in_.below(client_.pieces.size());
    if (const std::size_t star = path.find('*'); star != std::string::npos)
      path.replace(star, 1, name(path, piece));
    head.target = path;
    Bytes body = route.method == Method::kGet || route.method == Method::kDelete ? Bytes()
                                                                                 : body_of(path, piece, head);
    const Response response = server_.ask(std::move(head), std::move(body));
    remember(response);
  }

  std::string name(const std::string& path, std::size_t piece) {
    const std::uint8_t choice = in_.byte();
    if (choice == 255) {  // the characters that a target can have
      std::string any(as_text(in_.take(in_.byte())));
      std::ranges::replace_if(
          any, [](char c) { return (c >= 0 && c <= ' ') || c == 127; }, '!');
      return any;
    }
    if (choice == 254) return std::string(64, 'a');
    if (path.starts_with("/v2/keys/pieces/")) return to_hex(blake2b(client_.pieces[piece]));
    if (path.starts_with("/v2/jobs/"))
      return jobs_.empty() ? std::string(32, '0') : jobs_[choice % jobs_.size()];
    if (path.starts_with("/v2/keys/")) return client_.key_id;
    return "lenet";
  }

  Bytes body_of(const std::string& path, std::size_t piece, RequestHead& head) {
    const std::uint8_t flags = in_.byte();
    Bytes body;
    if (path.starts_with("/v2/keys/pieces/")) {
      body = client_.pieces[piece];
      head.fields.add("Tacit-Piece-Bytes", std::to_string(body.size()));
      head.fields.add("Tacit-Part-Digest", to_hex(blake2b(body)));
    } else if (path == "/v2/keys") {
      body.assign(client_.set.begin(), client_.set.end());
    } else if (path.ends_with("/infer") || path.ends_with("/input")) {
      const bool raw = (flags & 1) != 0;
      body = raw ? client_.ciphertext : client_.inference;
      head.fields.add(std::string(kInferenceHeaderLength), std::to_string(raw ? 0 : client_.json.size()));
      head.fields.add(std::string(kKeyIdField), client_.key_id);
      if ((flags & 2) != 0) head.fields.add("Prefer", "respond-async");
      if ((flags & 4) != 0) head.fields.add("Idempotency-Key", "\"" + std::to_string(flags >> 6) + "\"");
    }
    if ((flags & 8) != 0) {  // a field of the input's choice, which goes before the right one
      Fields fields;
      const std::string value(as_text(in_.take(in_.byte())));
      fields.add(std::string(kFieldNames[in_.below(kFieldNames.size())]), value);
      for (const auto& [field, text] : head.fields) fields.add(field, text);
      head.fields = std::move(fields);
    }
    if ((flags & 16) != 0) {  // other bytes at a place, and perhaps the end cut off
      const std::size_t at = in_.word(2);
      const ByteView bytes = in_.take(in_.byte());
      for (std::size_t i = 0; i < bytes.size() && at + i < body.size(); ++i) body[at + i] = bytes[i];
      if (at % 4 == 0) body.resize(std::min(body.size(), at));
    }
    if ((flags & 32) != 0) {
      const ByteView bytes = in_.take(in_.byte());
      body.assign(bytes.begin(), bytes.end());
    }
    return body;
  }

  void remember(const Response& response) {
    if (response.status != 202) return;
    const Json page = Json::parse(response.body.begin(), response.body.end(), nullptr, false);
    if (page.is_object() && page.contains("job_id")) jobs_.push_back(page["job_id"]);
  }

  static constexpr std::array<std::string_view, 6> kFieldNames = {
      kInferenceHeaderLength, kKeyIdField, kStageField, "Prefer", "Idempotency-Key", "Tacit-Piece-Bytes"};

  Input& in_;
  const Client& client_;
  SmallServer server_;
  std::vector<std::string> jobs_;
};

TACIT_FUZZ_TARGET(application) {
  static const Client kClient;
  if (input.empty()) return;
  Input in(input);
  Sequence(in, kClient).run();
}

}  // namespace
}  // namespace tacit::fuzz
