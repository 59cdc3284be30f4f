// SPDX-License-Identifier: Apache-2.0
#include "client/http.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/printable.h"

namespace tacit::client {
namespace {

// Of a text of others in a message.
constexpr std::size_t kShownBytes = 400;

using Clock = std::chrono::steady_clock;

bool curl_ready() {
  static const bool ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return ready;
}

enum class Stop { kNone, kStalled, kNoAnswer, kTooLarge };

// What happens during one request; libcurl's callbacks write it.
struct Transfer {
  const HttpRequest& request;
  const HttpOptions& options;
  HttpResponse response;
  Clock::time_point moved = Clock::now();
  curl_off_t sent = 0, received = 0;
  Stop stop = Stop::kNone;
};

std::size_t on_body(char* data, std::size_t, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  Bytes& body = transfer.response.body;
  if (count > transfer.options.max_answer_bytes - body.size()) {
    transfer.stop = Stop::kTooLarge;
    return 0;
  }
  body.insert(body.end(), data, data + count);
  return count;
}

std::string_view trim(std::string_view text) {
  auto space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return result;
}

std::size_t on_header(char* data, std::size_t, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  std::string_view line(data, count);
  if (line.starts_with("HTTP/")) transfer.response.headers.clear();  // an interim answer (1xx) went before
  std::size_t colon = line.find(':');
  if (colon != std::string_view::npos && transfer.response.headers.size() < 100) {
    transfer.response.headers[lower(trim(line.substr(0, colon)))] = trim(line.substr(colon + 1));
  }
  return count;
}

int on_progress(void* user, curl_off_t, curl_off_t received, curl_off_t, curl_off_t sent) {
  auto& transfer = *static_cast<Transfer*>(user);
  Clock::time_point now = Clock::now();
  if (sent != transfer.sent && transfer.request.on_upload) {
    transfer.request.on_upload(static_cast<std::uint64_t>(sent), transfer.request.body.size());
  }
  if (sent != transfer.sent || received != transfer.received) {
    transfer.sent = sent;
    transfer.received = received;
    transfer.moved = now;
    return 0;
  }
  bool waiting = received == 0 && sent >= static_cast<curl_off_t>(transfer.request.body.size());
  if (now - transfer.moved > (waiting ? transfer.options.answer : transfer.options.stall)) {
    transfer.stop = waiting ? Stop::kNoAnswer : Stop::kStalled;
    return 1;
  }
  return 0;
}

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

// Host names for this machine itself, which no proxy can stand for.
constexpr const char* kLocalHosts = "localhost,127.0.0.1,::1";

std::string no_proxy_hosts() {
  for (const char* name : {"no_proxy", "NO_PROXY"}) {
    if (const char* hosts = std::getenv(name); hosts != nullptr && *hosts != '\0') {
      return std::string(hosts) == "*" ? "*" : std::string(hosts) + "," + kLocalHosts;
    }
  }
  return kLocalHosts;
}

std::string seconds(std::chrono::milliseconds time) {
  return time.count() % 1000 == 0 ? std::to_string(time.count() / 1000) + " s"
                                  : std::to_string(time.count()) + " ms";
}

Error failure(CURLcode code, const Transfer& transfer, const std::string& url, const char* reason) {
  std::string why = *reason != '\0' ? printable(reason, kShownBytes) : std::string(curl_easy_strerror(code));
  switch (transfer.stop) {
    case Stop::kTooLarge:
      return Error{ErrorCode::kDataTooLarge, "the answer of " + url + " is larger than the " +
                                                 std::to_string(transfer.options.max_answer_bytes) +
                                                 " bytes allowed"};
    case Stop::kStalled:
      return Error{ErrorCode::kServerTimeout, url + " moved no byte for " + seconds(transfer.options.stall) +
                                                  "; look at the network and the server, then try again"};
    case Stop::kNoAnswer:
      return Error{ErrorCode::kServerTimeout,
                   url + " did not answer within " + seconds(transfer.options.answer) +
                       "; the server may be overloaded, or allow more time with --timeout"};
    case Stop::kNone:
      break;
  }
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return Error{ErrorCode::kServerTimeout, "no connection to " + url + " within " +
                                                  seconds(transfer.options.connect) +
                                                  "; check the address and the network"};
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
      return Error{ErrorCode::kServerUntrusted,
                   "the certificate of " + url + " is not accepted: " + why +
                       "; check the address, or name the authority that signed it with --ca-file"};
    case CURLE_SSL_CACERT_BADFILE:
      return Error{ErrorCode::kServerUntrusted,
                   "there is no certificate of an authority (PEM) to check " + url + " with: " + why};
    case CURLE_SSL_CONNECT_ERROR:
      return Error{ErrorCode::kServerUnreachable,
                   "no TLS connection to " + url + ": " + why +
                       "; check the address and port, and whether the server speaks https"};
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_HTTP2:
    case CURLE_BAD_CONTENT_ENCODING:
      return Error{ErrorCode::kServerProtocol, url + " does not speak HTTP: " + why +
                                                   "; check the address and port, and whether it is https"};
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
      return Error{ErrorCode::kServerUnreachable,
                   "the connection to " + url + " broke off: " + why +
                       "; look at the server's log, then try again" +
                       (url.starts_with("http:") ? ", or ask for https:// if it speaks TLS" : "")};
    case CURLE_OUT_OF_MEMORY:
      return Error{ErrorCode::kOutOfMemory, "there is no memory for a request to " + url};
    default:
      return Error{ErrorCode::kServerUnreachable,
                   "cannot reach " + url + ": " + why + "; check the address, and that tacitd runs there"};
  }
}

std::optional<ErrorCode> known_code(std::string_view text) {
#define TACIT_ERROR(name, code, kind, meaning) \
  if (text == code) return ErrorCode::name;
#include "base/error_codes.def"
#undef TACIT_ERROR
  return std::nullopt;
}

}  // namespace

struct HttpClient::State {
  CURL* curl = curl_easy_init();
  HttpOptions options;
  std::string no_proxy = no_proxy_hosts();
  char reason[CURL_ERROR_SIZE] = {};

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (curl != nullptr) curl_easy_cleanup(curl);
  }
};

HttpClient::HttpClient(std::string url, std::unique_ptr<State> state)
    : url_(std::move(url)), state_(std::move(state)) {}
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;
HttpClient::~HttpClient() = default;

Result<HttpClient> HttpClient::create(std::string_view url, const HttpOptions& options) {
  auto refuse = [&](std::string_view why) {
    return Error{ErrorCode::kInvalidArgument, "\"" + printable(url, kShownBytes) + "\" " + std::string(why) +
                                                  "; give it as http://HOST:PORT"};
  };
  if (!curl_ready()) return Error{ErrorCode::kInternal, "libcurl cannot be used (curl_global_init failed)"};
  bool scheme = url.starts_with("http://") || url.starts_with("https://");
  if (!scheme) return refuse("is not a server's address");
  std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed(curl_url(), curl_url_cleanup);
  std::string text(url);
  if (parsed == nullptr || curl_url_set(parsed.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) {
    return refuse("is not a server's address");
  }
  for (CURLUPart part : {CURLUPART_QUERY, CURLUPART_FRAGMENT, CURLUPART_USER, CURLUPART_PASSWORD}) {
    char* value = nullptr;
    if (curl_url_get(parsed.get(), part, &value, 0) == CURLUE_OK) {
      curl_free(value);
      return refuse("has more than a host, a port and a path");
    }
  }
  while (text.ends_with('/')) text.pop_back();
  auto state = std::make_unique<State>();
  if (state->curl == nullptr) return Error{ErrorCode::kOutOfMemory, "there is no memory for a connection"};
  state->options = options;
  return HttpClient(std::move(text), std::move(state));
}

Result<HttpResponse> HttpClient::send(const HttpRequest& request) {
  CURL* curl = state_->curl;
  Transfer transfer{request, state_->options, {}};
  std::string url = url_ + request.path;

  // Without "Expect: 100-continue" the body goes out at once.
  std::unique_ptr<curl_slist, FreeList> headers(curl_slist_append(nullptr, "Expect:"));
  const auto add = [&](const std::string& line) {
    curl_slist* longer = curl_slist_append(headers.get(), line.c_str());
    if (longer == nullptr) return false;
    static_cast<void>(headers.release());
    headers.reset(longer);
    return true;
  };
  bool added = state_->options.token.empty() || add("Authorization: Bearer " + state_->options.token);
  for (const auto& [name, value] : request.headers) added = added && add(name + ": " + value);
  if (!added) return Error{ErrorCode::kOutOfMemory, "there is no memory for a request"};

  curl_easy_reset(curl);  // keeps the connection
  state_->reason[0] = '\0';
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, state_->reason);
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(curl, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!state_->options.authorities.empty()) {
    curl_blob pem{state_->options.authorities.data(), state_->options.authorities.size(), CURL_BLOB_NOCOPY};
    curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &pem);
    curl_easy_setopt(curl, CURLOPT_CAINFO, nullptr);
    curl_easy_setopt(curl, CURLOPT_CAPATH, nullptr);
  }
  curl_easy_setopt(curl, CURLOPT_NOPROXY, state_->no_proxy.c_str());
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "tacit");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(state_->options.connect.count()));
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  if (request.method != "GET") {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS,
                     request.body.empty() ? "" : reinterpret_cast<const char*>(request.body.data()));
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 512L << 10);
  }
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);

  CURLcode code = curl_easy_perform(curl);
  if (code != CURLE_OK) return failure(code, transfer, url_, state_->reason);
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  transfer.response.status = static_cast<int>(status);
  return std::move(transfer.response);
}

Status check_token(std::string_view token) {
  constexpr std::size_t kLongest = 512;
  const bool visible = std::ranges::all_of(token, [](char c) { return c > 0x20 && c < 0x7F; });
  if (!token.empty() && token.size() <= kLongest && visible) return {};
  return Error{ErrorCode::kInvalidArgument,
               "a token is one line of letters, digits, '_' and '-', as tacitd token create prints it"};
}

Error refusal(const HttpResponse& response, std::string_view url) {
  auto problem = nlohmann::json::parse(response.body.begin(), response.body.end(), nullptr, false);
  auto member = [&](const char* name) -> std::string {
    if (!problem.is_object()) return "";
    auto it = problem.find(name);
    return it != problem.end() && it->is_string() ? it->get<std::string>() : "";
  };
  std::string code = member("code"), detail = member("detail");
  if (detail.empty()) detail = member("title");
  if (code.empty()) {
    return Error{ErrorCode::kServerProtocol,
                 std::string(url) + " answered with HTTP status " + std::to_string(response.status) +
                     (detail.empty() ? std::string() : " (" + server_text(detail) + ")") +
                     "; is it a Tacit server?"};
  }
  if (auto known = known_code(code)) {
    const std::string advice =
        *known == ErrorCode::kAuthentication ? "; give it with --token-file or in TACIT_TOKEN" : "";
    return Error{*known, "the server says: " + server_text(detail) + advice};
  }
  return Error{ErrorCode::kServerError, "the server says: " + server_text(code) + ": " + server_text(detail)};
}

std::string server_text(std::string_view text) { return printable(text, kShownBytes); }

}  // namespace tacit::client
