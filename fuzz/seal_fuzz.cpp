// SPDX-License-Identifier: Apache-2.0
// SEAL's objects: whatever the readers of the cross-check take has one form, that of the writers.
//
// Input: a kind of object; then edits of a valid one, each an offset of three bytes, how many bytes, and the bytes, and at the end how many
// bytes are missing. Behind all kinds come parameters, whose bytes stand there as they are.
#include "seal/seal_samples.h"
#include "target.h"

namespace tacit::fuzz {
namespace {

constexpr std::size_t kMostEdits = 6;

void rewrite_seal_object(const seal::Sample& sample, ByteView bytes) {
  static const ckks::Parameters parameters = seal::sample_parameters();
  const auto again = sample.rewrite(parameters, bytes);
  if (accepted(again)) require(std::ranges::equal(*again, bytes), "an object has one form");
}

std::vector<seal::Sample> make_seal_samples() {
  test::Scheme scheme(seal::sample_parameters());
  return seal::samples(scheme);
}

TACIT_FUZZ_TARGET(seal) {
  static const std::vector<seal::Sample> samples = make_seal_samples();
  Input in(input);
  const std::size_t kind = in.below(samples.size() + 1);
  if (kind == samples.size()) return rewrite_seal_object(samples.front(), in.rest());
  Bytes bytes = samples[kind].bytes;
  for (std::size_t i = 0; i < kMostEdits && !in.empty(); ++i) {
    const std::size_t offset = in.word(3) % bytes.size();
    const ByteView edit = in.take(1 + in.below(8));
    for (std::size_t k = 0; k < edit.size() && offset + k < bytes.size(); ++k) bytes[offset + k] = edit[k];
  }
  if (!in.empty()) bytes.resize(bytes.size() - std::min(in.below(200), bytes.size()));
  rewrite_seal_object(samples[kind], bytes);
}

}  // namespace
}  // namespace tacit::fuzz
