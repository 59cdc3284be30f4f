// SPDX-License-Identifier: Apache-2.0
// What the fuzz targets share: how one registers its entry function, what is required of every refusal, and how an input
// is taken apart. A program of libFuzzer's has one target (fuzzer_main.cpp); the regression test has all (replay_main.cpp).
#pragma once

#include <map>
#include <string>
#include <utility>

#include "base/bytes.h"

namespace tacit::fuzz {

// Returns for every input, or the target has found something.
using Entry = void (*)(ByteView input);
// Those that this program was linked with.
std::map<std::string, Entry>& targets();

struct Registration {
  Registration(const char* name, Entry entry) { targets().emplace(name, entry); }
};

// Says what did not hold and ends the process.
void require(bool holds, std::string_view what);
// Every refusal has a code of its own and a message of one line, fit for a log and a terminal.
void require_sound(const Error& error);

template <class T>
bool accepted(const Result<T>& result) {
  if (!result.ok()) require_sound(result.error());
  return result.ok();
}

// Takes choices from the front of an input; after its end everything is zero.
class Input {
 public:
  explicit Input(ByteView bytes) : rest_(bytes) {}

  bool empty() const { return rest_.empty(); }
  std::uint8_t byte() { return static_cast<std::uint8_t>(word(1)); }
  // Little-endian, of `width` bytes.
  std::uint64_t word(std::size_t width = 8);
  // 0 to limit - 1; `limit` is at least 1 and at most 2^16.
  std::size_t below(std::size_t limit) { return word(limit <= 256 ? 1 : 2) % limit; }
  // At most so many.
  ByteView take(std::size_t count);
  // A length of two bytes, then so many bytes, at most.
  ByteView blob() { return take(word(2)); }
  ByteView rest() { return take(rest_.size()); }

 private:
  ByteView rest_;
};

// Of a target that makes calls one after the other on what tenants share.
inline constexpr std::size_t kMaxOperations = 200, kTenants = 2;

// Long objects from short inputs: `bytes`, then `fill` up to `size` where they are shorter, without the last `shorter`.
Bytes extended(ByteView bytes, std::size_t size, std::size_t shorter, std::uint8_t fill);

}  // namespace tacit::fuzz

// TACIT_FUZZ_TARGET(name) { ... `input` ... }
#define TACIT_FUZZ_TARGET(name)                                                     \
  static void fuzz_##name(::tacit::ByteView input);                                 \
  static const ::tacit::fuzz::Registration registration_##name(#name, fuzz_##name); \
  static void fuzz_##name(::tacit::ByteView input)
