// SPDX-License-Identifier: Apache-2.0
// How much one tenant may take, so that others are served as well.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "base/result.h"

namespace tacit::server {

// 0 stands for no limit.
struct Quota {
  std::uint64_t key_bytes = std::uint64_t{8} << 30;
  std::uint64_t key_sets = 64;
  std::uint64_t jobs = 64;          // queued, running or waiting for the client
  std::uint64_t results = 256;      // of finished jobs
  double requests_per_second = 50;  // on average
  std::uint64_t burst = 200;        // at once
  std::uint64_t inferences_per_day = 0;
};

// A bucket of tokens for each tenant (RFC 2697's idea): full at first with `burst`, filled at a rate, emptied by one for each
// request. May be used from several threads at once.
class RateLimit {
 public:
  using Clock = std::chrono::steady_clock;

  RateLimit(double per_second, double burst) : per_second_(per_second), burst_(burst) {}

  // Takes one; else the time after which there will be one.
  std::chrono::milliseconds take(const std::string& tenant, Clock::time_point now);

 private:
  struct Bucket {
    double level = 0;
    Clock::time_point filled;
  };
  void forget_full(Clock::time_point now);

  const double per_second_, burst_;
  std::mutex mutex_;
  std::map<std::string, Bucket> buckets_;
};

}  // namespace tacit::server
