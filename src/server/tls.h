// SPDX-License-Identifier: Apache-2.0
// The server's certificate, and TLS 1.3 (RFC 8446) with OpenSSL. Nothing below 1.3, no early data, no session tickets.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "base/result.h"

// OpenSSL's own names, so that its headers stay in the files that need them.
struct ssl_ctx_st;
struct ssl_st;

namespace tacit::server {

// A certificate chain and its key, ready for handshakes. Does not change; connections keep the one they began with.
class TlsContext {
 public:
  // Reads two PEM files. tls.certificate where one cannot be read, has nothing of the kind, is encrypted, or is for the other.
  static Result<std::shared_ptr<const TlsContext>> load(const std::filesystem::path& certificate,
                                                        const std::filesystem::path& private_key);

  // Whether the certificate's time is over, or has not come yet.
  bool expired() const;
  // When its time is over, in seconds since 1970.
  std::int64_t expires() const;

  struct Free {
    void operator()(ssl_st* connection) const;
    void operator()(ssl_ctx_st* context) const;
  };
  using Connection = std::unique_ptr<ssl_st, Free>;
  // The server's side of a connection over this socket, whose owner keeps it open as long. Never blocks, whatever the
  // socket's mode, and raises no SIGPIPE. Throws std::bad_alloc.
  Connection accept(int socket) const;

 private:
  explicit TlsContext(std::unique_ptr<ssl_ctx_st, Free> context) : context_(std::move(context)) {}
  std::unique_ptr<ssl_ctx_st, Free> context_;
};

// The oldest reason that OpenSSL's queue of this thread has, in words; empties the queue.
std::string tls_reason();

}  // namespace tacit::server
