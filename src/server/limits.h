// SPDX-License-Identifier: Apache-2.0
// Every limit of the server, in one place. protocol/rest.md repeats those that a client can meet.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace tacit::server {

using std::chrono::milliseconds;

// --- one request -----------------------------------------------------------------------------------------------------
inline constexpr std::size_t kMaxHeaderBytes = 16 << 10;  // request line and header fields
inline constexpr std::size_t kMaxHeaderFields = 64;
inline constexpr std::uint64_t kMaxJsonBytes = 64 << 10;
inline constexpr std::uint64_t kMaxBodyBytes = std::uint64_t{1} << 30;  // of any route; --max-body-bytes
inline constexpr std::size_t kMaxModelNameBytes = 64;
inline constexpr std::size_t kMaxRequestIdBytes = 64;     // X-Request-Id
inline constexpr std::size_t kMaxInferenceIdBytes = 256;  // "id" of an inference request

// --- the whole server ------------------------------------------------------------------------------------------------
inline constexpr std::size_t kMaxConnections = 256;
inline constexpr std::size_t kMaxConnectionsPerAddress = 32;
// Beyond these limits so many connections are told that the server is busy; those beyond are closed without a word.
inline constexpr std::size_t kMaxRefusedConnections = 64;
inline constexpr std::size_t kNetworkThreads = 2;
inline constexpr std::size_t kBlockingThreads = 4;    // disk and digests
inline constexpr std::size_t kMaxBlockingJobs = 256;  // waiting
inline constexpr std::size_t kMaxInferenceJobs = 64;  // waiting
inline constexpr std::uint64_t kMaxJobs = 1024;       // of all tenants, not finished
inline constexpr int kRetryAfterSeconds = 5;

// Of a piece that is uploaded in parts; the last one may be shorter.
inline constexpr std::uint64_t kPartBytes = std::uint64_t{8} << 20;
inline constexpr std::uint64_t kMaxParts = 1 << 16;

// Milliseconds for which pieces stay that are in no set, and parts of a piece that is not finished.
inline constexpr std::int64_t kKeepLoosePieces = std::int64_t{24} * 3600 * 1000;

// What stands before a key's residues (protocol/bytes.md): enough to know how long the whole must be.
inline constexpr std::size_t kKeyHeaderBytes = 72;

// --- files -----------------------------------------------------------------------------------------------------------
inline constexpr std::uint64_t kMaxKeySetFileBytes = 1 << 20;

// --- time ------------------------------------------------------------------------------------------------------------
// A prediction that has not got to its next operation for so long hangs: the server is no longer live.
inline constexpr milliseconds kMaxSilence{10 * 60 * 1000};
struct Timeouts {
  milliseconds idle{15'000};           // from one request's end to the next one's first byte
  milliseconds header{10'000};         // from a request's first byte to the end of its header
  milliseconds body_grace{5'000};      // a body may come slower than body_rate for so long
  std::uint64_t body_rate = 64 << 10;  // bytes a second, in both directions
  milliseconds silence{15'000};        // of a body that is made while it is sent, until keep_alive() is
  milliseconds linger{1'000};          // for reading what a refused client is still sending
  milliseconds shutdown{10'000};       // for requests that are running when the server is told to stop
};

// How long a body of so many bytes may take.
inline milliseconds transfer_time(const Timeouts& timeouts, std::uint64_t bytes) {
  const std::uint64_t rate = timeouts.body_rate == 0 ? 1 : timeouts.body_rate;
  return timeouts.body_grace + milliseconds(bytes * 1000 / rate);
}

}  // namespace tacit::server
