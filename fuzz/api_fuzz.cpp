// SPDX-License-Identifier: Apache-2.0
// The client's requests to a server that answers with any bytes: every call returns, with what protocol/rest.md says or with
// an error.
//
// Input: which call, then the whole answer, status line included.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mutex>
#include <thread>

#include "client/api.h"
#include "support/ckks_fixture.h"
#include "target.h"

namespace tacit::fuzz {
namespace {

// Answers each request with what answer_with() was last given and closes the connection, one after the other. A client may have gone
// before its answer is sent.
class RawServer {
 public:
  RawServer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    require(::bind(listener_, any, size) == 0 && ::listen(listener_, 64) == 0 &&
                ::getsockname(listener_, any, &size) == 0,
            "there is a port");
    port_ = ntohs(address.sin_port);
    std::thread([this] { serve(); }).detach();
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  void answer_with(ByteView answer) {
    const std::lock_guard lock(mutex_);
    answer_.assign(answer.begin(), answer.end());
  }

 private:
  [[noreturn]] void serve() {
    for (;;) {
      const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) continue;
      std::string request;
      char buffer[4096];
      while (request.find("\r\n\r\n") == std::string::npos) {
        const ssize_t got = ::recv(connection, buffer, sizeof buffer, 0);
        if (got <= 0) break;
        request.append(buffer, static_cast<std::size_t>(got));
      }
      Bytes answer;
      {
        const std::lock_guard lock(mutex_);
        answer = answer_;
      }
      static_cast<void>(::send(connection, answer.data(), answer.size(), MSG_NOSIGNAL));
      ::shutdown(connection, SHUT_WR);
      while (::recv(connection, buffer, sizeof buffer, 0) > 0) {}
      ::close(connection);
    }
  }
  int listener_;
  int port_ = 0;
  std::mutex mutex_;
  Bytes answer_;  // guarded by mutex_
};

template <class T>
bool fine(Result<T> result) {
  if (result.ok()) return true;
  result.error().code =
      ErrorCode::kServerError;  // the server chooses it, and may say that it has failed itself
  require_sound(result.error());
  return false;
}

TACIT_FUZZ_TARGET(api) {
  static RawServer& server = *new RawServer;
  static const Bytes kPiece(100, 7);
  Input in(input);
  const std::size_t call = in.below(5);
  server.answer_with(in.rest());
  client::HttpOptions options;
  options.connect = options.stall = options.answer = std::chrono::seconds(20);
  options.max_answer_bytes = 1 << 20;
  client::Api api(test::unwrap(client::HttpClient::create(server.url(), options)),
                  std::chrono::milliseconds(0));
  switch (call) {
    case 0:
      if (const auto models = api.list_models(); fine(models))
        for (const client::OfferedModel& model : *models)
          require(client::is_model_name(model.name) || !model.trouble.empty(),
                  "a model that can be used has a name");
      break;
    case 1:
      fine(api.client_half("tiny"));
      break;
    case 2:
      if (const auto set = api.register_keys("tiny", {blake2b(kPiece)}); fine(set))
        require(set->id.empty() != set->missing.empty(), "a key set has a name or lacks pieces");
      break;
    case 3:
      fine(api.upload_piece(blake2b(kPiece), kPiece));
      break;
    default:
      fine(api.infer("tiny", test::unwrap(client::encode_infer_request(std::string(64, '0'), 0,
                                                                       std::vector<Bytes>{kPiece}))));
  }
}

}  // namespace
}  // namespace tacit::fuzz
