// SPDX-License-Identifier: Apache-2.0
// How many connections there may be, in all and of one address. Safe to use from any thread.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <cstddef>
#include <map>
#include <mutex>
#include <string>

namespace tacit::server {

class ConnectionLimits {
 public:
  ConnectionLimits(std::size_t connections, std::size_t per_address, std::size_t refusals)
      : connections_(connections), per_address_(per_address), refusals_(refusals) {}

  enum class Verdict {
    kServe,
    kFull,         // to be told that the server is busy
    kAddressFull,  // the same, because of its own other connections
    kDrop,         // too many are being told that already
  };
  // The new connection counts until leave() with the same two, unless it is dropped. Connections that are only refused do
  // not count against those that are served.
  Verdict enter(const boost::asio::ip::address& address);
  void leave(const boost::asio::ip::address& address, Verdict verdict);

 private:
  const std::size_t connections_, per_address_, refusals_;
  std::mutex mutex_;
  std::size_t served_ = 0, refused_ = 0;
  std::map<std::string, std::size_t> by_address_;
};

// What counts as one address: an IPv4 address, also in IPv6's form of it, or the first 64 bits of an IPv6 address, as one
// customer has all that follow.
std::string address_key(const boost::asio::ip::address& address);

}  // namespace tacit::server
