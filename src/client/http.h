// SPDX-License-Identifier: Apache-2.0
// Requests to one server over HTTP/1.1 (libcurl), with errors that say what to do.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace tacit::client {

struct HttpOptions {
  std::chrono::milliseconds connect{10'000};
  // No byte moved for so long while a request is sent or an answer received.
  std::chrono::milliseconds stall{60'000};
  // From the last byte of the request to the first one of the answer; a prediction may take minutes.
  std::chrono::milliseconds answer{30 * 60'000};
  std::uint64_t max_answer_bytes = std::uint64_t{256} << 20;
  // Certificates in PEM of the authorities that are trusted instead of the system's; empty: the system's.
  std::string authorities = {};
  // Goes with every request as "Authorization: Bearer"; empty: none. check_token() must have taken it.
  std::string token = {};
};

struct HttpRequest {
  std::string method = "GET";
  std::string path;  // begins with '/'
  std::vector<std::pair<std::string, std::string>> headers;
  ByteView body;  // must outlive the call
  std::function<void(std::uint64_t done, std::uint64_t total)>
      on_upload;  // called while the body is sent; or empty
};

struct HttpResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case; the last of several with one name
  Bytes body;

  bool ok() const { return status >= 200 && status < 300; }
};

// One connection that is kept open between requests. Movable; used by one thread at a time. Redirects are not
// followed.
class HttpClient {
 public:
  // `url` is http:// or https://, a host, and perhaps a port and a path, for instance
  // "http://127.0.0.1:8080"; argument.invalid for anything else.
  static Result<HttpClient> create(std::string_view url, const HttpOptions& options = {});
  HttpClient(HttpClient&&) noexcept;
  HttpClient& operator=(HttpClient&&) noexcept;
  ~HttpClient();

  // An answer with any status. server.unreachable where no connection can be made or it breaks off,
  // server.timeout, server.untrusted for its certificate, server.protocol for what is not HTTP,
  // data.too-large.
  Result<HttpResponse> send(const HttpRequest& request);

  const std::string& url() const { return url_; }

 private:
  struct State;
  HttpClient(std::string url, std::unique_ptr<State> state);
  std::string url_;  // without a '/' at the end
  std::unique_ptr<State> state_;
};

// A token as it may stand in a header field: 1 to 512 visible ASCII characters. argument.invalid, which does not repeat it.
Status check_token(std::string_view token);

// What a refusal (RFC 9457, application/problem+json) means: the server's code and detail. A code that this
// release does not know becomes server.error, an answer that is no problem document server.protocol.
Error refusal(const HttpResponse& response, std::string_view url);

// Text from a server as it may be shown: printable, at most 400 bytes of it.
std::string server_text(std::string_view text);

}  // namespace tacit::client
