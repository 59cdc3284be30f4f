// SPDX-License-Identifier: Apache-2.0
// The reader of classifier heads on any bytes: what it accepts is written back to the same bytes, and can be used.
//
//   cmake --preset fuzz && cmake --build --preset fuzz
//   build/fuzz/bin/head_fuzz -max_total_time=180 -max_len=4096
#include <algorithm>
#include <cstdlib>

#include "base/digest.h"
#include "client/classifier_head.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tacit;
  // The digest is put right, or nothing beyond it would ever be reached.
  Bytes bytes(data, data + size);
  const Digest digest = blake2b(bytes);
  bytes.insert(bytes.end(), digest.begin(), digest.end());
  const Result<client::ClassifierHead> head = client::read_head(bytes);
  if (!head.ok()) return 0;
  if (client::write_head(*head) != bytes) std::abort();
  const std::vector<float> features(head->classifier.features(), 1);
  const auto probabilities = head->classifier.probabilities(features);
  if (probabilities.ok() && probabilities->size() != head->labels.size()) std::abort();
  return 0;
}
