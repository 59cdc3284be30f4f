// SPDX-License-Identifier: Apache-2.0
#include "server/audit.h"

#include "server/keep_going.h"

namespace tacit::server {
namespace {

constexpr std::chrono::seconds kGroup{1};
constexpr std::chrono::minutes kBetweenRefusals{1};
constexpr std::size_t kMaxWaiting = 10'000;

Json with(Json event, const Json& more) {
  for (const auto& [name, value] : more.items())
    if (!event.contains(name)) event[name] = value;
  return event;
}

}  // namespace

Result<std::unique_ptr<Audit>> Audit::open(const std::filesystem::path& folder, std::uint64_t keep_bytes) {
  AuditFile::Limits limits;
  limits.keep_bytes = keep_bytes;
  // So many files that taking the oldest out takes out little.
  constexpr std::uint64_t kFiles = 8, kLeast = 64 << 10;
  if (keep_bytes > 0)
    limits.file_bytes = std::clamp<std::uint64_t>(keep_bytes / kFiles, kLeast, kAuditFileBytes);
  TACIT_TRY(std::unique_ptr<AuditFile> file, AuditFile::open(folder, limits));
  return std::unique_ptr<Audit>(new Audit(std::move(file)));
}

Audit::Audit(std::unique_ptr<AuditFile> file) : file_(std::move(file)) {
  if (file_) thread_ = std::thread([this] { write_in_groups(); });
}

Audit::~Audit() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    next_refusal_ = {};
  }
  woken_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Status Audit::record(Json event) {
  if (!file_) return {};
  std::vector<Json> events;
  events.push_back(std::move(event));
  return flush(std::move(events));
}

Status Audit::record_last(Json event) {
  {
    const std::lock_guard lock(mutex_);
    next_refusal_ = {};
  }
  return record(std::move(event));
}

void Audit::record_soon(Json event) {
  if (!file_) return;
  const std::lock_guard lock(mutex_);
  if (waiting_.size() >= kMaxWaiting) {
    ++lost_;
    return;
  }
  waiting_.push_back(std::move(event));
}

void Audit::refused(const Error& error, std::string_view request_id) {
  if (!file_) return;
  const std::lock_guard lock(mutex_);
  ++refused_;
  refused_code_ = to_string(error.code);
  refused_request_ = request_id;
}

// What waits, then `more`, which is dropped where it cannot be written; the rest waits on.
Status Audit::flush(std::vector<Json> more) {
  const std::lock_guard turn(writing_);
  std::vector<Json> events;
  std::uint64_t lost = 0;
  {
    const std::lock_guard lock(mutex_);
    if (refused_ > 0 && Clock::now() >= next_refusal_) {
      waiting_.push_back(
          with(audit_event("authentication.refused"),
               {{"count", refused_}, {"last_code", refused_code_}, {"last_request_id", refused_request_}}));
      refused_ = 0;
      next_refusal_ = Clock::now() + kBetweenRefusals;
    }
    events.swap(waiting_);
    lost = std::exchange(lost_, 0);
  }
  const std::size_t waited = events.size();
  const auto keep = [&] {
    events.resize(waited);
    const std::lock_guard lock(mutex_);
    lost_ += lost;
    waiting_.swap(events);
    waiting_.insert(waiting_.end(), std::make_move_iterator(events.begin()),
                    std::make_move_iterator(events.end()));
  };
  Status written;
  try {
    events.insert(events.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    if (lost > 0) events.push_back(with(audit_event("audit.lost"), {{"count", lost}}));
    if (events.empty()) return {};
    written = file_->append(events);
  } catch (...) {
    keep();
    throw;
  }
  if (written.ok()) {
    lines_ += events.size();
    return written;
  }
  ++failures_;
  log_error("the audit log cannot be written", written.error());
  keep();
  return written;
}

void Audit::write_in_groups() {
  std::unique_lock lock(mutex_);
  bool last = false;
  while (!last) {
    woken_.wait_for(lock, kGroup, [this] { return ending_; });
    last = ending_;
    lock.unlock();
    // What fails is tried again with the next group.
    keep_going("audit lines wait for memory", [&] {
      if (const Status status = flush({}); !status.ok() && last)
        log_error("audit lines are lost", status.error());
    });
    lock.lock();
  }
}

Json audit_event(std::string_view event, const Call& call) {
  Json line = audit_event(event);
  line["tenant"] = call.tenant;
  if (!call.token.empty()) line["token"] = call.token;
  line["request_id"] = call.head.id;
  return line;
}

Status audit_models(Audit& audit, const ModelRegistry& before, const ModelRegistry& after, const Json& who) {
  const auto line = [&](std::string_view event, const std::string& name, const ServedModel& served) {
    return with(with(audit_event(event), who),
                {{"model", name}, {"client_half", served.etag.substr(1, served.etag.size() - 2)}});
  };
  for (const auto& [name, served] : after.models()) {
    const auto old = before.models().find(name);
    if (old == before.models().end())
      TACIT_CHECK(audit.record(line("model.loaded", name, *served)));
    else if (old->second != served)
      TACIT_CHECK(audit.record(line("model.reloaded", name, *served)));
  }
  for (const auto& [name, served] : before.models())
    if (!after.models().contains(name)) TACIT_CHECK(audit.record(line("model.unloaded", name, *served)));
  return {};
}

}  // namespace tacit::server
