// SPDX-License-Identifier: Apache-2.0
// A job's changes as server-sent events (protocol/jobs.md).
#pragma once

#include <memory>

#include "server/progress.h"
#include "server/service.h"

namespace tacit::server {

// Begins with `job` as it stood when it was read, which must have been after the stream was made; it hears of every change from then
// on. Ends when the job is final or awaits the client. `board` must outlive it.
class JobEvents final : public BodyStream, public std::enable_shared_from_this<JobEvents> {
 public:
  static std::shared_ptr<JobEvents> of(ProgressBoard& board, const std::string& job);
  // What the row says, where nothing has been heard since.
  void begin(const Job& job);

  void next(std::function<void(std::optional<Bytes>)> ready) override;
  Bytes keep_alive() const override;
  void cancel() override;

 private:
  JobEvents(ProgressBoard& board, std::string job) : board_(board), job_(std::move(job)) {}
  void hear(const ProgressBoard::News& news);
  // Says nothing more.
  void end();
  // With the lock held: what is to be called with which bytes, where somebody waits and there is something to say.
  std::function<void()> delivery();

  ProgressBoard& board_;
  const std::string job_;
  ProgressBoard::Watch watch_ = 0;
  std::mutex mutex_;
  std::optional<ProgressBoard::News>
      news_;  // that nobody has been told of; later ones take the place of earlier ones
  std::function<void(std::optional<Bytes>)> ready_;
  std::uint64_t events_ = 0;
  bool over_ = false;  // the last event has been told, or nobody listens
};

}  // namespace tacit::server
