// SPDX-License-Identifier: Apache-2.0
#include "server/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <ctime>
#include <new>
#include <string_view>
#include <system_error>

namespace tacit::server {
namespace {

constexpr std::string_view kProtocol = "http/1.1";  // RFC 7301's name of what we speak

int socket_of(BIO* bio) { return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio))); }

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

int bio_read(BIO* bio, char* to, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t count = ::recv(socket_of(bio), to, static_cast<std::size_t>(size), MSG_DONTWAIT);
  if (count < 0 && would_block()) BIO_set_retry_read(bio);
  return static_cast<int>(count);
}

int bio_write(BIO* bio, const char* from, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t count =
      ::send(socket_of(bio), from, static_cast<std::size_t>(size), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (count < 0 && would_block()) BIO_set_retry_write(bio);
  return static_cast<int>(count);
}

long bio_control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

int bio_create(BIO* bio) {
  BIO_set_init(bio, 1);
  return 1;
}

// OpenSSL's own BIO for sockets blocks where the socket does, and raises SIGPIPE.
const BIO_METHOD* socket_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "tacit socket");
    if (made == nullptr) throw std::bad_alloc();
    BIO_meth_set_read(made, bio_read);
    BIO_meth_set_write(made, bio_write);
    BIO_meth_set_ctrl(made, bio_control);
    BIO_meth_set_create(made, bio_create);
    return made;
  }();
  return method;
}

// A client that names protocols must name ours.
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* chosen_size,
                    const unsigned char* offered, unsigned int size, void*) {
  std::string_view left(reinterpret_cast<const char*>(offered), size);
  while (!left.empty()) {
    const std::size_t length = static_cast<unsigned char>(left.front());
    const std::string_view name = left.substr(1, length);
    if (name == kProtocol) {
      *chosen = reinterpret_cast<const unsigned char*>(name.data());
      *chosen_size = static_cast<unsigned char>(name.size());
      return SSL_TLSEXT_ERR_OK;
    }
    left.remove_prefix(std::min(left.size(), 1 + length));
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

// OpenSSL would ask at the terminal.
int no_passphrase(char*, int, int, void*) { return 0; }

Error refused(const std::string& what, const std::filesystem::path& file, const std::string& advice) {
  return Error{ErrorCode::kTlsCertificate, what + " " + file.string() + ": " + tls_reason() + "; " + advice};
}

void configure(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_max_early_data(context, 0);
  SSL_CTX_set_recv_max_early_data(context, 0);
  // Without buffers where nothing is under way, so that an idle connection costs little.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);
}

}  // namespace

std::string tls_reason() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "unknown reason";
  if (ERR_SYSTEM_ERROR(code)) return std::generic_category().message(static_cast<int>(ERR_GET_REASON(code)));
  const char* reason = ERR_reason_error_string(code);
  return reason == nullptr ? "error " + std::to_string(code) : reason;
}

void TlsContext::Free::operator()(ssl_st* connection) const { SSL_free(connection); }
void TlsContext::Free::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }

Result<std::shared_ptr<const TlsContext>> TlsContext::load(const std::filesystem::path& certificate,
                                                           const std::filesystem::path& private_key) {
  ERR_clear_error();
  std::unique_ptr<SSL_CTX, Free> context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr) return Error{ErrorCode::kInternal, "TLS cannot be used: " + tls_reason()};
  configure(context.get());
  if (SSL_CTX_use_certificate_chain_file(context.get(), certificate.c_str()) != 1)
    return refused("cannot use the certificate", certificate,
                   "tls.certificate must name a PEM file, the server's own certificate first, then the "
                   "intermediate ones");
  if (SSL_CTX_use_PrivateKey_file(context.get(), private_key.c_str(), SSL_FILETYPE_PEM) != 1)
    return refused("cannot use the private key", private_key,
                   "tls.private_key must name a PEM file that this user can read, the key of "
                   "tls.certificate, without a passphrase");
  if (SSL_CTX_check_private_key(context.get()) != 1)
    return refused("the private key does not match the certificate", private_key,
                   "set tls.certificate and tls.private_key to files that belong together");
  return std::shared_ptr<const TlsContext>(new TlsContext(std::move(context)));
}

bool TlsContext::expired() const {
  const X509* certificate = SSL_CTX_get0_certificate(context_.get());
  return X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0 ||
         X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0;
}

std::int64_t TlsContext::expires() const {
  std::tm utc{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(SSL_CTX_get0_certificate(context_.get())), &utc) != 1) return 0;
  return ::timegm(&utc);
}

TlsContext::Connection TlsContext::accept(int socket) const {
  Connection connection(SSL_new(context_.get()));
  BIO* bio = connection == nullptr ? nullptr : BIO_new(socket_method());
  if (bio == nullptr) throw std::bad_alloc();
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(socket)));
  SSL_set_bio(connection.get(), bio, bio);
  SSL_set_accept_state(connection.get());
  return connection;
}

}  // namespace tacit::server
