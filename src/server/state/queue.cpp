// SPDX-License-Identifier: Apache-2.0
#include "server/state/queue.h"

#include <array>

namespace tacit::server {

std::string_view to_string(JobState state) {
  constexpr std::array<std::string_view, 6> kNames = {"queued",    "running", "awaiting_client",
                                                      "succeeded", "failed",  "cancelled"};
  return kNames[static_cast<std::size_t>(state)];
}

bool is_final(JobState state) {
  return state == JobState::kSucceeded || state == JobState::kFailed || state == JobState::kCancelled;
}

bool rests(JobState state) { return is_final(state) || state == JobState::kAwaitingClient; }

Error not_awaiting(const Job& job) {
  return Error{ErrorCode::kJobNotAwaiting, "the job is " + std::string(to_string(job.state)) +
                                               "; it takes an input only while it is awaiting_client"};
}

BlobName input_blob(const Job& job) {
  return {job.tenant, BlobKind::kInput, job.id + four_digits(job.stage)};
}
BlobName result_blob(const Job& job) {
  return {job.tenant, BlobKind::kResult, job.id + four_digits(job.stage)};
}
std::string job_of(const BlobName& blob) { return blob.id.substr(0, blob.id.size() - 4); }

}  // namespace tacit::server
