// SPDX-License-Identifier: Apache-2.0
#include "server/connection_limits.h"

#include <algorithm>

namespace tacit::server {

namespace ip = boost::asio::ip;

std::string address_key(const ip::address& address) {
  if (address.is_v4()) return address.to_string();
  const ip::address_v6 v6 = address.to_v6();
  if (v6.is_v4_mapped()) return ip::make_address_v4(ip::v4_mapped, v6).to_string();
  ip::address_v6::bytes_type bytes = v6.to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), static_cast<unsigned char>(0));
  return ip::address_v6(bytes).to_string() + "/64";
}

ConnectionLimits::Place ConnectionLimits::enter(const ip::address& address) {
  const std::string key = address_key(address);
  const std::lock_guard lock(mutex_);
  auto its = by_address_.find(key);
  const bool address_full = its != by_address_.end() && its->second >= per_address_;
  if (served_ < connections_ && !address_full) {
    its = by_address_.try_emplace(key).first;
    ++served_;
    ++its->second;
    return {this, Verdict::kServe, its};
  }
  if (refused_ >= refusals_) return {this, Verdict::kDrop, its};
  ++refused_;
  return {this, address_full ? Verdict::kAddressFull : Verdict::kFull, its};
}

void ConnectionLimits::leave(Verdict verdict, ByAddress::iterator its) noexcept {
  const std::lock_guard lock(mutex_);
  if (verdict == Verdict::kServe) {
    --served_;
    if (--its->second == 0) by_address_.erase(its);
  } else if (verdict != Verdict::kDrop) {
    --refused_;
  }
}

}  // namespace tacit::server
