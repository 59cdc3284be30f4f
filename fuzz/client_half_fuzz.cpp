// SPDX-License-Identifier: Apache-2.0
// The page that a server sends about a model: what the client takes of it is written to the same page again.
#include "plan/client_half.h"
#include "target.h"

namespace tacit::fuzz {
namespace {

TACIT_FUZZ_TARGET(client_half) {
  const auto read = plan::client_half_from_json(as_text(input));
  if (!accepted(read)) return;
  require(accepted(plan::validate(*read)), "a client half has been checked");
  require(ckks::Parameters::create(read->parameters).ok(), "a client half has passed the gate");
  const std::string page = plan::to_json(*read);
  const auto again = plan::client_half_from_json(page);
  require(accepted(again), "a client half that was written can be read");
  require(plan::to_json(*again) == page, "twice the same page");
}

}  // namespace
}  // namespace tacit::fuzz
