// SPDX-License-Identifier: Apache-2.0
// A client that sends any bytes and looks at what comes back.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace tacit::server {

struct RawResponse {
  int status = 0;
  std::string head;
  std::string body;
};

class RawSocket {
 public:
  // To 127.0.0.1; `from` is the own address, one of 127.0.0.0/8.
  explicit RawSocket(std::uint16_t port, const char* from = "127.0.0.1")
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in own{};
    own.sin_family = AF_INET;
    ::inet_pton(AF_INET, from, &own.sin_addr);
    static_cast<void>(::bind(fd_, reinterpret_cast<sockaddr*>(&own), sizeof own));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawSocket() { ::close(fd_); }
  RawSocket(const RawSocket&) = delete;
  RawSocket& operator=(const RawSocket&) = delete;

  bool connected() const { return connected_; }
  // False where the server has closed the connection.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }
  void finish_sending() { ::shutdown(fd_, SHUT_WR); }

  // The next response, or nothing where the connection ends or `seconds` pass before it is complete.
  std::optional<RawResponse> read_response(double seconds = 10, bool head_only = false) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    while (true) {
      if (auto response = take_response(head_only)) return response;
      if (!receive(end)) return std::nullopt;
    }
  }
  // The next `count` bytes, or those that came before the connection ended or `seconds` had passed.
  std::string read_exactly(std::size_t count, double seconds = 10) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    while (received_.size() < count && receive(end)) {}
    std::string taken = received_.substr(0, count);
    received_.erase(0, taken.size());
    return taken;
  }
  // Whether the server closes the connection within `seconds`.
  bool closed_within(double seconds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    while (receive(end)) {}
    return std::chrono::steady_clock::now() < end;
  }

 private:
  template <class Time>
  bool receive(Time end) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd poll{fd_, POLLIN, 0};
    if (::poll(&poll, 1, static_cast<int>(left.count()) + 1) <= 0) return false;
    char buffer[65536];
    const ssize_t count = ::recv(fd_, buffer, sizeof buffer, 0);
    if (count <= 0) return false;
    received_.append(buffer, static_cast<std::size_t>(count));
    return true;
  }
  std::optional<RawResponse> take_response(bool head_only) {
    const std::size_t head = received_.find("\r\n\r\n");
    if (head == std::string::npos || !received_.starts_with("HTTP/1.1 ")) return std::nullopt;
    RawResponse response;
    response.head = received_.substr(0, head + 2);
    response.status = std::stoi(received_.substr(9, 3));
    const std::size_t field = response.head.find("Content-Length: ");
    std::size_t length =
        field == std::string::npos || head_only ? 0 : std::stoul(response.head.substr(field + 16));
    if (received_.size() < head + 4 + length) return std::nullopt;
    response.body = received_.substr(head + 4, length);
    received_.erase(0, head + 4 + length);
    return response;
  }

  int fd_;
  bool connected_ = false;
  std::string received_;
};

}  // namespace tacit::server
