// SPDX-License-Identifier: Apache-2.0
// What the vector kernels for scalar products share: the walk over blocks, and how long sums of products of 31-bit
// numbers may grow in 64-bit words. Everything is inlined, since each includer has instructions of its own.
#pragma once

#include <algorithm>
#include <type_traits>

#include "ring/kernels/kernels.h"

namespace tacit::ring {

// As many inputs of a block of a ScalarProduct as a sum takes before it is reduced. The arrays begin with them.
template <std::size_t kOutputs>
struct ScalarRun {
  u64 start(std::size_t output) const { return starts == nullptr ? 0 : starts[output]; }

  bool first;  // of its block: sums begin with start(), else with what the outputs have
  std::size_t inputs;
  const std::uint32_t* input;
  const std::int64_t* weights;
  const u64* starts;
  u64* const* out;
};

// Calls run(ScalarRun) for all runs of up to `length` inputs, block after block.
template <class Run>
[[gnu::always_inline]] inline void for_each_run(const ScalarProduct& p, std::size_t length, const Run& run) {
  const std::uint32_t* input = p.input;
  const std::int64_t* weights = p.weights;
  const u64* starts = p.start;
  u64* const* out = p.out;
  for (const ScalarProduct::Block& block : p.blocks) {
    for (std::size_t done = 0; done < block.inputs;) {
      const std::size_t inputs = std::min<std::size_t>(length, block.inputs - done);
      const auto call = [&]<std::size_t kOutputs>() {
        run(ScalarRun<kOutputs>{done == 0, inputs, input, weights, starts, out});
      };
      static_assert(ScalarProduct::kMaxOutputs == 6);
      switch (block.outputs) {
        case 1:
          call.template operator()<1>();
          break;
        case 2:
          call.template operator()<2>();
          break;
        case 3:
          call.template operator()<3>();
          break;
        case 4:
          call.template operator()<4>();
          break;
        case 5:
          call.template operator()<5>();
          break;
        default:
          call.template operator()<6>();
          break;
      }
      done += inputs;
      input += inputs;
      weights += inputs * block.outputs;
    }
    if (starts != nullptr) starts += block.outputs;
    out += block.outputs;
  }
}

// An input that is packed a little later than input j: its places are asked for meanwhile, as every input lies elsewhere and
// the processor foresees none.
[[gnu::always_inline]] inline const u64* input_ahead(const ScalarProduct& p, std::size_t j) {
  constexpr std::size_t kDistance = 4;
  return p.x[std::min(j + kDistance, p.inputs - 1)] + p.first;
}

// Both factors are the representatives next to zero, and a sum starts at a multiple of q in the middle of its range, so
// that it is never negative.
struct NarrowRange {
  // `q` has at most ScalarProduct::kNarrowBits bits. Sums modulo short primes are kept below 2^52.
  [[gnu::always_inline]] explicit NarrowRange(const Modulus& q)
      : wide(q.bits() >= kMinWideBits), middle((u64{1} << (wide ? 63 : 51)) / q.value() * q.value()) {}

  // How many inputs a sum takes that starts at `middle` plus a residue: as many windows as stay on the positive
  // side, at least one. For q < 2^31 that is 8 (q / 2)^2 <= 2^63 - 2^34 + 8, which is below `middle`.
  [[gnu::always_inline]] std::size_t inputs_per_reduction(const Modulus& q, u64 window_sum) const {
    constexpr u64 kReserve = u64{1} << 33;
    const u64 largest = q.value() / 2 * std::max<u64>(1, window_sum);
    return ScalarProduct::kWindow * std::max<u64>(1, (middle - kReserve) / largest);
  }

  static constexpr int kMinWideBits = 20;
  bool wide;
  u64 middle;
};

}  // namespace tacit::ring
