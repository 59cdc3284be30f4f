// SPDX-License-Identifier: Apache-2.0
#include "server/http_server.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <thread>
#include <vector>

#include "server/http_connection.h"
#include "server/keep_going.h"
#include "server/tls.h"

namespace tacit::server {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using tcp = asio::ip::tcp;

// When the process has no file descriptor left, accepting is tried again after so long.
constexpr milliseconds kAcceptPause{100};
// After runs were cancelled: as long as one operation of a plan may take.
constexpr milliseconds kCancelTime{2'000};

void report(std::exception_ptr thrown) {
  if (thrown) keep_going("a connection was given up", [&] { std::rethrow_exception(thrown); });
}

}  // namespace

struct HttpServer::State {
  State(Service& service, const HttpOptions& o)
      : options(o),
        hub{service, o.timeouts,
            {},      {o.max_connections, o.max_connections_per_address, kMaxRefusedConnections},
            {},      {},
            {},      {}},
        acceptor(asio::make_strand(io)) {}

  asio::awaitable<void> accept();
  void start_connection(tcp::socket socket);
  Status load_certificate();
  template <class Action>
  void for_each_connection(const Action& action);

  const HttpOptions options;
  ConnectionHub hub;  // before the context, whose destruction ends connections
  asio::io_context io;
  tcp::acceptor acceptor;  // on a strand, as it is accepted from and closed by different threads
  tcp::endpoint endpoint;
  std::vector<std::thread> threads;
  std::mutex tls_mutex;
  std::shared_ptr<const TlsContext> tls;  // guarded by tls_mutex; null: plain
};

Status HttpServer::State::load_certificate() {
  if (options.certificate.empty() && options.private_key.empty()) return {};
  auto read = TlsContext::load(options.certificate, options.private_key);
  hub.service.on_certificate(read.ok() ? std::optional((*read)->expires()) : std::nullopt);
  TACIT_TRY(auto loaded, std::move(read));
  if (loaded->expired())
    log_warning("the certificate " + options.certificate + " is not valid today; clients will refuse it");
  const std::lock_guard lock(tls_mutex);
  tls = std::move(loaded);
  return {};
}

asio::awaitable<void> HttpServer::State::accept() {
  asio::steady_timer pause(acceptor.get_executor());
  while (acceptor.is_open()) {
    try {
      error_code failure;
      tcp::socket socket = co_await acceptor.async_accept(asio::make_strand(io),
                                                          asio::redirect_error(asio::use_awaitable, failure));
      if (!failure) {
        start_connection(std::move(socket));
      } else if (failure != asio::error::operation_aborted) {
        log_warning("cannot accept a connection", {{"reason", failure.message()}});
        pause.expires_after(kAcceptPause);
        co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, failure));
      }
    } catch (const std::exception& reason) {
      log_error("a connection was not taken", {{"reason", reason.what()}});
    }
  }
}

void HttpServer::State::start_connection(tcp::socket socket) {
  error_code failure;
  const auto peer = socket.remote_endpoint(failure);
  if (failure) return;  // gone already
  std::shared_ptr<const TlsContext> context;
  {
    const std::lock_guard lock(tls_mutex);
    context = tls;
  }
  const auto executor = socket.get_executor();
  const auto stream = std::make_shared<HttpStream>(std::move(socket), context);
  auto place = hub.limits.enter(peer.address());
  if (place.verdict() == ConnectionLimits::Verdict::kDrop) {
    log_info("connection dropped", {{"peer", peer.address().to_string()}});
    return hub.service.on_connection(ConnectionEvent::kDropped);
  }
  const auto connection = std::make_shared<Connection>(stream, peer.address(), std::move(place), hub);
  connection->join();
  const auto life = [](std::shared_ptr<Connection> c) -> asio::awaitable<void> { co_await c->live(); };
  asio::co_spawn(executor, life(connection), report);
}

template <class Action>
void HttpServer::State::for_each_connection(const Action& action) {
  const std::lock_guard lock(hub.mutex);
  for (Connection* connection : hub.open) {
    // A connection leaves hub.open under this lock before it dies, and an expired one has nothing left to do.
    if (auto self = connection->weak_from_this().lock()) {
      const auto executor = self->executor();
      asio::post(executor, [self = std::move(self), action] { action(*self); });
    }
  }
}

HttpServer::HttpServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

Status parse_address(std::string_view text, HttpOptions& options) {
  const std::size_t colon = text.rfind(':');
  const auto port = colon == std::string_view::npos ? std::nullopt : parse_number(text.substr(colon + 1));
  std::string_view host = text.substr(0, std::min(colon, text.size()));
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (!port || *port > 65535 || (!bracketed && host.find(':') != std::string_view::npos)) {
    return Error{ErrorCode::kInvalidArgument,
                 "\"" + std::string(text) +
                     "\" is no address to listen on; write HOST:PORT, for instance 127.0.0.1:8080"};
  }
  options.host = host.empty() ? "0.0.0.0" : std::string(host);
  options.port = static_cast<std::uint16_t>(*port);
  return {};
}

bool is_loopback(const HttpOptions& options) {
  error_code failure;
  const auto address = asio::ip::make_address(options.host, failure);
  return failure ? options.host == "localhost" : address.is_loopback();
}

Result<std::unique_ptr<HttpServer>> HttpServer::start(Service& service, const HttpOptions& options) {
  auto state = std::make_unique<State>(service, options);
  State& s = *state;
  TACIT_CHECK(s.load_certificate());
  const std::string where = options.host + ":" + std::to_string(options.port);
  auto refuse = [&](const error_code& failure) {
    return Error{ErrorCode::kListen, "cannot listen on " + where + ": " + failure.message()};
  };
  error_code failure;
  tcp::resolver resolver(s.io);
  const auto found =
      resolver.resolve(options.host, std::to_string(options.port), tcp::resolver::passive, failure);
  if (failure || found.empty()) return refuse(failure);
  s.endpoint = found.begin()->endpoint();
  s.acceptor.open(s.endpoint.protocol(), failure);
  if (!failure) s.acceptor.set_option(tcp::acceptor::reuse_address(true), failure);
  if (!failure) s.acceptor.bind(s.endpoint, failure);
  if (!failure) s.acceptor.listen(asio::socket_base::max_listen_connections, failure);
  if (!failure) s.endpoint = s.acceptor.local_endpoint(failure);
  if (failure) return refuse(failure);

  asio::co_spawn(s.acceptor.get_executor(), s.accept(), report);
  for (std::size_t i = 0; i < std::max<std::size_t>(options.threads, 1); ++i) {
    s.threads.emplace_back([&s] {
      const auto guard = asio::make_work_guard(s.io);
      while (!keep_going("what a connection was about was given up", [&s] { s.io.run(); })) {}
    });
  }
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

HttpServer::~HttpServer() {
  stop();
  std::unique_lock lock(state_->hub.mutex);
  state_->hub.changed.wait(lock, [this] { return state_->hub.owed == 0; });
}

std::uint16_t HttpServer::port() const { return state_->endpoint.port(); }

std::string HttpServer::url() const {
  const auto address = state_->endpoint.address();
  const std::string host = address.is_v6() ? "[" + address.to_string() + "]" : address.to_string();
  const char* const scheme = state_->options.certificate.empty() ? "http://" : "https://";
  return scheme + host + ":" + std::to_string(port());
}

Status HttpServer::reload_certificate() { return state_->load_certificate(); }

std::size_t HttpServer::connections() const {
  const std::lock_guard lock(state_->hub.mutex);
  return state_->hub.open.size();
}

bool HttpServer::stop() {
  State& s = *state_;
  if (!s.hub.stopping.exchange(true)) {
    asio::post(s.acceptor.get_executor(), [&s] {
      error_code ignored;
      s.acceptor.close(ignored);
    });
    s.for_each_connection([](Connection& connection) { connection.wind_down(); });
    const auto all_closed = [&s] { return s.hub.open.empty(); };
    const auto wait = [&](milliseconds time) {
      std::unique_lock lock(s.hub.mutex);
      return s.hub.changed.wait_for(lock, time, all_closed);
    };
    if (!wait(s.options.timeouts.shutdown)) {
      s.for_each_connection([](Connection& connection) { connection.abort(); });
      wait(kCancelTime);
    }
    s.io.stop();
    for (std::thread& thread : s.threads) thread.join();
  }
  const std::lock_guard lock(s.hub.mutex);
  return s.hub.owed == 0;
}

}  // namespace tacit::server
