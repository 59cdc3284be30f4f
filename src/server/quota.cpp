// SPDX-License-Identifier: Apache-2.0
#include "server/quota.h"

#include <algorithm>
#include <cmath>

namespace tacit::server {

namespace {

constexpr std::size_t kMaxBuckets = 4096;

double seconds(RateLimit::Clock::duration time) { return std::chrono::duration<double>(time).count(); }

}  // namespace

std::chrono::milliseconds RateLimit::take(const std::string& tenant, Clock::time_point now) {
  if (per_second_ <= 0) return std::chrono::milliseconds(0);
  const std::lock_guard lock(mutex_);
  if (buckets_.size() >= kMaxBuckets) forget_full(now);
  Bucket& bucket = buckets_.try_emplace(tenant, Bucket{burst_, now}).first->second;
  bucket.level = std::min(burst_, bucket.level + seconds(now - bucket.filled) * per_second_);
  bucket.filled = now;
  if (bucket.level >= 1) {
    bucket.level -= 1;
    return std::chrono::milliseconds(0);
  }
  return std::chrono::milliseconds(
      static_cast<std::int64_t>(std::ceil((1 - bucket.level) / per_second_ * 1000)));
}

// A bucket that is full again says as much as none.
void RateLimit::forget_full(Clock::time_point now) {
  std::erase_if(buckets_, [&](const auto& entry) {
    return entry.second.level + seconds(now - entry.second.filled) * per_second_ >= burst_;
  });
}

}  // namespace tacit::server
