// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 over TCP. Each connection is a coroutine, so a slow client costs a socket and never a thread.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "server/limits.h"
#include "server/service.h"

namespace tacit::server {

struct HttpOptions {
  std::string host = "127.0.0.1";  // name or address
  std::uint16_t port = 0;          // 0: any that is free
  Timeouts timeouts;
  std::size_t max_connections = kMaxConnections;
  std::size_t max_connections_per_address = kMaxConnectionsPerAddress;
  // PEM files of a certificate with its chain and of its key: the server speaks TLS. Both empty: plain HTTP.
  std::string certificate, private_key;
  std::size_t threads = kNetworkThreads;
};

// "HOST:PORT", "[IPV6]:PORT" or ":PORT" into `options`; kInvalidArgument.
Status parse_address(std::string_view text, HttpOptions& options);

// Whether only this machine can reach the address.
bool is_loopback(const HttpOptions& options);

class HttpServer {
 public:
  // Listens, and answers from threads of its own until stop(). `service` must outlive it. kListen, naming the reason;
  // kTlsCertificate.
  static Result<std::unique_ptr<HttpServer>> start(Service& service, const HttpOptions& options);
  // stop(), and then waits for all answers that the service owes.
  ~HttpServer();

  std::uint16_t port() const;
  // "http://127.0.0.1:8080", or with https
  std::string url() const;
  // Open connections, those that are told that the server is busy included.
  std::size_t connections() const;

  // Reads certificate and key anew, for connections from now on. kTlsCertificate: the ones before stay in use.
  Status reload_certificate();

  // Accepts no more, closes idle connections, ends bodies that are made while they are sent, lets running requests
  // finish for Timeouts::shutdown and then cancels them.
  // False where something still runs after that, which then can only be waited for.
  bool stop();

 private:
  struct State;
  explicit HttpServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tacit::server
