// SPDX-License-Identifier: Apache-2.0
#include "server/state/state.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <map>
#include <utility>

#include "base/descriptor.h"
#include "base/file.h"
#include "server/audit_file.h"
#include "server/state/database.h"
#include "server/state/folder_blobs.h"
#include "server/state/sqlite_ledger.h"
#include "server/state/sqlite_queue.h"

namespace tacit::server {
namespace fs = std::filesystem;
namespace {

// Larger than any body that a server takes.
constexpr std::uint64_t kMaxBlobBytes = std::uint64_t{1} << 40;

// The kernel lets go of it when the process ends, however it ends.
class FolderLock {
 public:
  static Result<FolderLock> take(const fs::path& folder) {
    const fs::path file = folder / "lock";
    FolderLock lock;
    lock.fd_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock.fd_ < 0)
      return Error{ErrorCode::kFileUnwritable,
                   "cannot write " + file.string() + ": " + errno_text() +
                       "; give a folder that this user may write to with --state"};
    if (::flock(lock.fd_, LOCK_EX | LOCK_NB) != 0)
      return Error{ErrorCode::kStateInUse, "another process uses the state folder " + folder.string() +
                                               "; stop it, or give another folder with --state"};
    return lock;
  }
  FolderLock(FolderLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FolderLock& operator=(FolderLock&&) = delete;
  ~FolderLock() {
    if (fd_ >= 0) ::close(fd_);
  }

 private:
  FolderLock() = default;
  int fd_ = -1;
};

// Every blob that rows name, with the digest of its bytes.
Result<std::map<BlobName, Digest>> expected_blobs(Ledger& ledger, Queue& queue) {
  std::map<BlobName, Digest> expected;
  TACIT_TRY(const std::vector<Ledger::Owned> pieces, ledger.pieces());
  for (const Ledger::Owned& piece : pieces) expected[piece_blob(piece.tenant, piece.digest)] = piece.digest;
  TACIT_TRY(const std::vector<Ledger::Owned> unfinished, ledger.unfinished());
  for (const auto& [tenant, piece] : unfinished) {
    TACIT_TRY(const std::vector<Part> parts, ledger.parts(tenant, piece));
    for (const Part& part : parts) expected[part_blob(tenant, part)] = part.digest;
  }
  TACIT_TRY(const std::vector<Job> jobs, queue.jobs());
  for (const Job& job : jobs) {
    if (!rests(job.state)) expected[input_blob(job)] = job.input;
    if (job.result) expected[result_blob(job)] = *job.result;
  }
  return expected;
}

// Takes out the row that names a blob which is not there.
Status forget(Ledger& ledger, Queue& queue, const BlobName& name, const Digest& digest) {
  if (name.kind == BlobKind::kPiece) return ledger.forget_piece(name.tenant, digest);
  if (name.kind == BlobKind::kPart) {
    TACIT_TRY(const Digest piece, digest_from_hex(std::string_view(name.id).substr(0, 64)));
    return ledger.forget_parts(name.tenant, piece);
  }
  TACIT_CHECK(queue.cancel(name.tenant, job_of(name), 0, 0));
  TACIT_CHECK(queue.remove(name.tenant, job_of(name)));
  return {};
}

class FolderState final : public State {
 public:
  FolderState(FolderLock lock, std::shared_ptr<Database> database, std::unique_ptr<FolderBlobs> blobs)
      : lock_(std::move(lock)),
        database_(std::move(database)),
        ledger_(make_sqlite_ledger(database_)),
        queue_(make_sqlite_queue(database_)),
        blobs_(std::move(blobs)) {}

  Ledger& ledger() override { return *ledger_; }
  Queue& queue() override { return *queue_; }
  Blobs& blobs() override { return *blobs_; }

  Result<std::size_t> sweep() override {
    TACIT_TRY(const auto expected, expected_blobs(*ledger_, *queue_));
    TACIT_TRY(const std::vector<BlobName> names, blobs_->list());
    std::size_t removed = 0;
    for (const BlobName& name : names) {
      if (expected.contains(name)) continue;
      TACIT_CHECK(blobs_->remove(name));
      ++removed;
    }
    return removed;
  }

  Result<std::vector<std::string>> check() override {
    TACIT_TRY(std::vector<std::string> troubles, database_->check());
    // What rows say there is; nothing where any content will do.
    TACIT_TRY(auto expected, expected_blobs(*ledger_, *queue_));
    TACIT_TRY(const std::vector<BlobName> names, blobs_->list());
    const auto say = [&](const BlobName& name, std::string_view what) {
      troubles.push_back("the blob " + name.id + " of " + name.tenant + " " + std::string(what));
    };
    for (const BlobName& name : names) {
      const auto row = expected.find(name);
      if (row == expected.end()) {
        say(name, "has no row; the next start of tacitd removes it");
        continue;
      }
      const auto bytes = blobs_->get(name, kMaxBlobBytes);
      if (!bytes.ok() || blake2b(*bytes) != row->second) say(name, "is damaged");
      expected.erase(row);
    }
    for (const auto& [name, digest] : expected) say(name, "is missing");
    return troubles;
  }

 private:
  FolderLock lock_;
  std::shared_ptr<Database> database_;
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<Queue> queue_;
  std::unique_ptr<FolderBlobs> blobs_;
};

}  // namespace

Result<std::unique_ptr<State>> State::open(const fs::path& folder) {
  TACIT_CHECK(make_durable_folder(folder));
  TACIT_TRY(FolderLock lock, FolderLock::take(folder));
  TACIT_TRY(std::unique_ptr<Database> database, Database::open(database_file(folder)));
  TACIT_TRY(std::unique_ptr<FolderBlobs> blobs, FolderBlobs::open(blobs_folder(folder)));
  return std::unique_ptr<State>(
      std::make_unique<FolderState>(std::move(lock), std::move(database), std::move(blobs)));
}

fs::path database_file(const fs::path& folder) { return folder / "tacit.db"; }
fs::path blobs_folder(const fs::path& folder) { return folder / "blobs"; }

bool is_state(const fs::path& folder) {
  std::error_code ignored;
  return fs::exists(database_file(folder), ignored);
}

Status require_state(const fs::path& folder) {
  if (is_state(folder)) return {};
  return Error{ErrorCode::kFileNotFound,
               "there is no state of tacitd in " + folder.string() + "; name the folder of server.state"};
}

Result<std::unique_ptr<Ledger>> open_ledger(const fs::path& folder) {
  TACIT_CHECK(require_state(folder));
  return open_or_make_ledger(folder);
}

Result<std::unique_ptr<Ledger>> open_or_make_ledger(const fs::path& folder) {
  TACIT_CHECK(make_durable_folder(folder));
  TACIT_TRY(std::unique_ptr<Database> database, Database::open(database_file(folder)));
  return make_sqlite_ledger(std::move(database));
}

Status back_up_state(const fs::path& folder, const fs::path& copy) {
  TACIT_CHECK(require_state(folder));
  if (std::error_code ignored; fs::exists(copy, ignored))
    return Error{ErrorCode::kFileUnwritable, copy.string() + " is there already; name a new folder"};
  TACIT_CHECK(make_durable_folder(copy));
  {
    TACIT_TRY(const std::unique_ptr<Database> original, Database::open(database_file(folder)));
    TACIT_CHECK(original->copy_to(database_file(copy)));
  }
  // The copy's rows say which bytes belong to it. They were there before the rows were; those that have gone since were deleted.
  TACIT_TRY(std::shared_ptr<Database> database, Database::open(database_file(copy)));
  const std::unique_ptr<Ledger> ledger = make_sqlite_ledger(database);
  const std::unique_ptr<Queue> queue = make_sqlite_queue(database);
  TACIT_TRY(const std::unique_ptr<FolderBlobs> from, FolderBlobs::open_beside(blobs_folder(folder)));
  TACIT_TRY(const std::unique_ptr<FolderBlobs> to, FolderBlobs::open(blobs_folder(copy)));
  TACIT_TRY(const auto expected, expected_blobs(*ledger, *queue));
  for (const auto& [name, digest] : expected) {
    const auto bytes = from->get(name, kMaxBlobBytes);
    if (bytes.ok()) {
      TACIT_CHECK(to->put(name, *bytes));
    } else if (bytes.error().code == ErrorCode::kFileNotFound) {
      TACIT_CHECK(forget(*ledger, *queue, name, digest));
    } else {
      return bytes.error();
    }
  }
  // Last, so that it has a line for everything that is in the copy.
  return copy_audit(folder / "audit", copy / "audit");
}

}  // namespace tacit::server
