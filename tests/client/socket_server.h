// SPDX-License-Identifier: Apache-2.0
// A server in the test's own process that answers each request with the bytes a test chooses.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace tacit::test {

struct RawRequest {
  std::string method, path, head, body;  // head: request line and fields
};

struct RawReply {
  std::string bytes;                   // sent as they are, status line included
  bool close = false;                  // then close the connection
  std::chrono::milliseconds delay{0};  // before the first byte
};

// "HTTP/1.1 200 OK" and so on, with a Content-Length.
inline RawReply reply(int status, const std::string& body, const std::string& fields = "") {
  return {"HTTP/1.1 " + std::to_string(status) + " Status\r\n" + fields +
              "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body,
          false};
}

class SocketServer {
 public:
  using Handler = std::function<RawReply(const RawRequest&)>;

  explicit SocketServer(Handler handler)
      : handler_(std::move(handler)), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_, 16), 0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~SocketServer() {
    stop_ = true;
    thread_.join();
    ::close(listener_);
  }
  SocketServer(const SocketServer&) = delete;
  SocketServer& operator=(const SocketServer&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::vector<RawRequest> requests() const {
    std::lock_guard lock(mutex_);
    return requests_;
  }
  std::size_t connections() const { return connections_; }

 private:
  bool readable(int fd) const {
    while (!stop_) {
      pollfd wait{fd, POLLIN, 0};
      if (::poll(&wait, 1, 20) > 0) return true;
    }
    return false;
  }
  void serve() {
    while (readable(listener_)) {
      int fd = ::accept(listener_, nullptr, nullptr);
      if (fd < 0) continue;
      ++connections_;
      converse(fd);
      ::close(fd);
    }
  }
  // One connection at a time is enough: the client has only one.
  void converse(int fd) {
    std::string buffer;
    for (;;) {
      RawRequest request;
      if (!read_request(fd, buffer, request)) return;
      {
        std::lock_guard lock(mutex_);
        requests_.push_back(request);
      }
      RawReply answer = handler_(request);
      auto until = std::chrono::steady_clock::now() + answer.delay;
      while (!stop_ && std::chrono::steady_clock::now() < until) ::usleep(5000);
      for (std::size_t done = 0; done < answer.bytes.size();) {
        ssize_t put = ::send(fd, answer.bytes.data() + done, answer.bytes.size() - done, MSG_NOSIGNAL);
        if (put <= 0) return;
        done += static_cast<std::size_t>(put);
      }
      if (answer.close) return;
    }
  }
  bool read_request(int fd, std::string& buffer, RawRequest& request) {
    std::size_t end;
    while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
      if (!fill(fd, buffer)) return false;
    }
    request.head = buffer.substr(0, end + 2);
    std::size_t length = 0, field = request.head.find("\r\nContent-Length: ");
    if (field != std::string::npos) length = std::stoul(request.head.substr(field + 18));
    while (buffer.size() < end + 4 + length) {
      if (!fill(fd, buffer)) return false;
    }
    request.body = buffer.substr(end + 4, length);
    buffer.erase(0, end + 4 + length);
    std::size_t space = request.head.find(' '), second = request.head.find(' ', space + 1);
    request.method = request.head.substr(0, space);
    request.path = request.head.substr(space + 1, second - space - 1);
    return true;
  }
  bool fill(int fd, std::string& buffer) {
    char bytes[1 << 16];
    if (!readable(fd)) return false;
    ssize_t got = ::recv(fd, bytes, sizeof bytes, 0);
    if (got <= 0) return false;
    buffer.append(bytes, static_cast<std::size_t>(got));
    return true;
  }

  Handler handler_;
  int listener_;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_ = false;
  std::atomic<std::size_t> connections_ = 0;
  mutable std::mutex mutex_;
  std::vector<RawRequest> requests_;
  std::thread thread_;
};

// A port of this machine that nobody listens at.
inline std::string nobodys_url() {
  SocketServer server([](const RawRequest&) { return RawReply{}; });
  return server.url();
}

}  // namespace tacit::test
