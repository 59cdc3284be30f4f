// SPDX-License-Identifier: Apache-2.0
// How many connections there may be, in all and of one address. Safe to use from any thread.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <utility>

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
  class Place;
  // Connections that are only refused do not count against those that are served.
  Place enter(const boost::asio::ip::address& address);

 private:
  using ByAddress = std::map<std::string, std::size_t>;
  void leave(Verdict verdict, ByAddress::iterator its) noexcept;

  const std::size_t connections_, per_address_, refusals_;
  std::mutex mutex_;
  std::size_t served_ = 0, refused_ = 0;
  ByAddress by_address_;
};

// What a connection was given: it counts until this is destroyed, which must be before the limits are.
class ConnectionLimits::Place {
 public:
  Place(Place&& other) noexcept
      : limits_(std::exchange(other.limits_, nullptr)), verdict_(other.verdict_), its_(other.its_) {}
  Place& operator=(Place&&) = delete;
  ~Place() {
    if (limits_ != nullptr) limits_->leave(verdict_, its_);
  }
  Verdict verdict() const { return verdict_; }

 private:
  friend class ConnectionLimits;
  Place(ConnectionLimits* limits, Verdict verdict, ByAddress::iterator its)
      : limits_(limits), verdict_(verdict), its_(its) {}
  ConnectionLimits* limits_;
  Verdict verdict_;
  ByAddress::iterator its_;  // of a connection that is served
};

// What counts as one address: an IPv4 address, also in IPv6's form of it, or the first 64 bits of an IPv6 address, as one
// customer has all that follow.
std::string address_key(const boost::asio::ip::address& address);

}  // namespace tacit::server
