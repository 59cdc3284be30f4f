// SPDX-License-Identifier: Apache-2.0
// Files of classifier heads: one form for each, and probabilities that are some.
#include <cmath>

#include "client/classifier_head.h"
#include "target.h"

namespace tacit::fuzz {
namespace {

TACIT_FUZZ_TARGET(head) {
  const auto head = client::read_head(input);
  if (!accepted(head)) return;
  const Bytes written = client::write_head(*head);
  require(
      ByteView(written).size() == input.size() && std::equal(written.begin(), written.end(), input.begin()),
      "a head has one form");
  const auto probabilities =
      head->classifier.probabilities(std::vector<float>(head->classifier.features(), 0.5f));
  if (!accepted(probabilities)) return;
  double sum = 0;
  for (const double one : *probabilities) sum += one;
  require(probabilities->size() == head->labels.size() && std::abs(sum - 1) < 1e-3,
          "probabilities add up to one");
}

}  // namespace
}  // namespace tacit::fuzz
