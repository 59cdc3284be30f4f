// SPDX-License-Identifier: Apache-2.0
#include "server/audit_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/file.h"
#include "server/http_types.h"
#include "server/log.h"
#include "server/time_text.h"

namespace tacit::server {
namespace fs = std::filesystem;
namespace {

// No file is longer: the last append went over file_bytes by one batch at most.
constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 30;
constexpr std::string_view kSuffix = ".log";

Error failed(const fs::path& path) {
  return Error{errno == ENOSPC || errno == EDQUOT ? ErrorCode::kDiskFull : ErrorCode::kStateFailed,
               "cannot write " + path.string() + ": " + errno_text()};
}

// Other processes wait while it lives.
class LockTurn {
 public:
  explicit LockTurn(int lock) : lock_(lock) {
    while (::flock(lock_, LOCK_EX) != 0 && errno == EINTR) {}
  }
  ~LockTurn() { ::flock(lock_, LOCK_UN); }
  LockTurn(const LockTurn&) = delete;
  LockTurn& operator=(const LockTurn&) = delete;

 private:
  const int lock_;
};

int open_lock(const fs::path& folder) {
  return ::open((folder / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

// Behind the last line that was written to its end. A power cut can take sectors out of the middle of an append, where zeros stand
// then; no line has any.
std::size_t whole_bytes(std::string_view text) {
  text = text.substr(0, text.find('\0'));
  const std::size_t end = text.rfind('\n');
  return end == std::string_view::npos ? 0 : end + 1;
}

// Of text that ends with a whole line.
Digest last_line_digest(std::string_view text) {
  text.remove_suffix(1);
  const std::size_t before = text.rfind('\n');
  return blake2b(as_bytes(before == std::string_view::npos ? text : text.substr(before + 1)));
}

}  // namespace

Json audit_event(std::string_view event) { return {{"time", time_text(now())}, {"event", event}}; }

fs::path audit_file(const fs::path& folder, std::uint64_t number) {
  std::string name = std::to_string(number);
  if (name.size() < 4) name.insert(0, 4 - name.size(), '0');
  return folder / name.append(kSuffix);
}

Result<std::vector<std::uint64_t>> audit_files(const fs::path& folder) {
  std::vector<std::uint64_t> numbers;
  std::error_code failure;
  fs::directory_iterator entry(folder, failure), end;
  while (!failure && entry != end) {
    const std::string name = entry->path().filename().string();
    if (name.ends_with(kSuffix)) {
      const auto number = parse_number(std::string_view(name).substr(0, name.size() - kSuffix.size()));
      if (number && audit_file(folder, *number) == entry->path()) numbers.push_back(*number);
    }
    entry.increment(failure);
  }
  if (failure) return Error{ErrorCode::kStateFailed, folder.string() + ": " + failure.message()};
  std::ranges::sort(numbers);
  return numbers;
}

Result<std::unique_ptr<AuditFile>> AuditFile::open(const fs::path& folder, const Limits& limits) {
  TACIT_CHECK(make_durable_folder(folder));
  const int lock = open_lock(folder);
  if (lock < 0) return failed(folder / "lock");
  std::unique_ptr<AuditFile> file(new AuditFile(folder, lock, limits));
  const LockTurn turn(lock);
  TACIT_CHECK(file->catch_up());
  return file;
}

// What another process, or the one before, has written since we looked.
Status AuditFile::catch_up() {
  TACIT_TRY(const std::vector<std::uint64_t> numbers, audit_files(folder_));
  const std::uint64_t newest = numbers.empty() ? 0 : numbers.back();
  struct stat info {};
  if (file_ && newest == number_ && ::fstat(file_->fd, &info) == 0 &&
      static_cast<std::uint64_t>(info.st_size) == size_)
    return {};
  file_.reset();
  head_ = {};
  number_ = size_ = 0;
  if (newest == 0) return next_file();
  return open_newest(newest);
}

Status AuditFile::open_newest(std::uint64_t number) {
  const fs::path path = audit_file(folder_, number);
  auto file = std::make_unique<Descriptor>(::open(path.c_str(), O_RDWR | O_APPEND | O_CLOEXEC));
  if (file->fd < 0) return failed(path);
  TACIT_TRY(const Bytes bytes, read_file(path, kMaxFileBytes));
  const std::string_view text = as_text(bytes);
  const std::size_t whole = whole_bytes(text);
  if (whole < text.size()) {
    if (::ftruncate(file->fd, static_cast<off_t>(whole)) != 0 || ::fsync(file->fd) != 0) return failed(path);
    cut_bytes_ += text.size() - whole;
    log_warning("what was not written to its end was cut off the audit log",
                {{"file", path.string()}, {"bytes", text.size() - whole}});
  }
  if (whole > 0) {
    head_ = last_line_digest(text.substr(0, whole));
  } else if (const auto before = read_file(audit_file(folder_, number - 1), kMaxFileBytes); before.ok()) {
    // A crash came right after the file was made.
    if (const std::string_view older = as_text(*before); older.ends_with('\n'))
      head_ = last_line_digest(older);
  }
  file_ = std::move(file);
  number_ = number;
  size_ = whole;
  return {};
}

Status AuditFile::next_file() {
  const fs::path path = audit_file(folder_, number_ + 1);
  TACIT_CHECK(write_file_atomic(path, {}, true));
  auto file = std::make_unique<Descriptor>(::open(path.c_str(), O_RDWR | O_APPEND | O_CLOEXEC));
  if (file->fd < 0) return failed(path);
  file_ = std::move(file);
  ++number_;
  size_ = 0;
  return {};
}

Status AuditFile::write(std::string_view text) {
  const fs::path path = audit_file(folder_, number_);
  const std::uint64_t size = size_;
  const auto undo = [&] {
    const Error error = failed(path);
    // Where this fails too, what is left is looked at again before the next line.
    if (::ftruncate(file_->fd, static_cast<off_t>(size)) != 0) size_ = ~std::uint64_t{0};
    return error;
  };
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t put = ::write(file_->fd, text.data() + done, text.size() - done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return undo();
    done += static_cast<std::size_t>(put);
  }
  if (::fdatasync(file_->fd) != 0) return undo();
  size_ += text.size();
  return {};
}

Status AuditFile::append(std::span<const Json> events) {
  const std::lock_guard guard(mutex_);
  const LockTurn turn(lock_.fd);
  TACIT_CHECK(catch_up());
  std::string text;
  Digest head = head_;
  const auto add = [&](Json event) {
    event["previous"] = to_hex(head);
    const std::string line = dump(event);
    head = blake2b(as_bytes(line));
    text.append(line).append("\n");
  };
  if (cut_bytes_ > 0) {
    Json cut = audit_event("audit.cut");
    cut["bytes"] = cut_bytes_;
    add(std::move(cut));
  }
  for (const Json& event : events) add(event);
  if (size_ > 0 && size_ + text.size() > limits_.file_bytes) TACIT_CHECK(next_file());
  TACIT_CHECK(write(text));
  head_ = head;
  cut_bytes_ = 0;
  // The lines are there, whatever becomes of old ones.
  if (const Status status = prune(); !status.ok()) log_error("old audit files stay", status.error());
  return {};
}

Status AuditFile::prune() {
  if (limits_.keep_bytes == 0) return {};
  TACIT_TRY(std::vector<std::uint64_t> numbers, audit_files(folder_));
  std::uint64_t bytes = 0;
  std::error_code ignored;
  // The newest two stay: a new file's first line hangs on the last of the one before.
  for (std::size_t i = numbers.size(); i-- > 0;) {
    const fs::path path = audit_file(folder_, numbers[i]);
    bytes += fs::file_size(path, ignored);
    if (bytes > limits_.keep_bytes && i + 2 < numbers.size()) TACIT_CHECK(remove_durably(path));
  }
  return {};
}

Result<std::vector<std::string>> check_audit(const fs::path& folder) {
  std::vector<std::string> troubles;
  std::error_code ignored;
  if (!fs::exists(folder, ignored)) return troubles;
  const Descriptor lock(open_lock(folder));
  const LockTurn turn(lock.fd);
  TACIT_TRY(const std::vector<std::uint64_t> numbers, audit_files(folder));
  std::string previous;  // empty: unknown, as the files before it are gone
  if (!numbers.empty() && numbers.front() == 1) previous = to_hex(Digest{});
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const fs::path path = audit_file(folder, numbers[i]);
    if (i > 0 && numbers[i] != numbers[i - 1] + 1) {
      troubles.push_back(audit_file(folder, numbers[i - 1] + 1).string() + " is missing");
      return troubles;
    }
    TACIT_TRY(const Bytes bytes, read_file(path, kMaxFileBytes));
    const std::size_t whole = whole_bytes(as_text(bytes));
    std::string_view text = as_text(bytes).substr(0, whole);
    std::size_t number = 1;
    for (; !text.empty(); ++number) {
      const std::string place = path.string() + ":" + std::to_string(number);
      const std::size_t end = text.find('\n');
      const std::string_view line = text.substr(0, end);
      text.remove_prefix(end + 1);
      const auto json = parse_object(as_bytes(line), "the line");
      const Json* link = json.ok() ? member(*json, "previous") : nullptr;
      if (link == nullptr || !link->is_string()) {
        troubles.push_back(place + " is no line of an audit log");
        return troubles;
      }
      if (!previous.empty() && link->get_ref<const std::string&>() != previous) {
        troubles.push_back(place +
                           " does not follow from the line before it: one of the two was altered, or lines "
                           "between them were taken out or added");
        return troubles;
      }
      previous = to_hex(blake2b(as_bytes(line)));
    }
    if (whole < bytes.size()) {
      troubles.push_back(path.string() + ":" + std::to_string(number) + " was not written to its end" +
                         (i + 1 == numbers.size() ? "; the next start of tacitd cuts it off" : ""));
      return troubles;
    }
  }
  return troubles;
}

Status copy_audit(const fs::path& folder, const fs::path& copy) {
  std::error_code ignored;
  if (!fs::exists(folder, ignored)) return {};
  TACIT_CHECK(make_durable_folder(copy));
  const Descriptor lock(open_lock(folder));
  const LockTurn turn(lock.fd);
  TACIT_TRY(const std::vector<std::uint64_t> numbers, audit_files(folder));
  for (const std::uint64_t number : numbers) {
    TACIT_TRY(const Bytes bytes, read_file(audit_file(folder, number), kMaxFileBytes));
    const ByteView whole = ByteView(bytes).first(whole_bytes(as_text(bytes)));
    TACIT_CHECK(write_file_atomic(audit_file(copy, number), whole, true));
  }
  return {};
}

}  // namespace tacit::server
