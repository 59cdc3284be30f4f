// SPDX-License-Identifier: Apache-2.0
#include "server/state/folder_blobs.h"

#include <algorithm>
#include <array>

#include "base/file.h"
#include "server/log.h"
#include "server/state/tenant.h"

namespace tacit::server {
namespace fs = std::filesystem;
namespace {

constexpr std::array<std::pair<BlobKind, std::string_view>, 4> kFolders = {{{BlobKind::kPiece, "pieces"},
                                                                            {BlobKind::kPart, "parts"},
                                                                            {BlobKind::kInput, "inputs"},
                                                                            {BlobKind::kResult, "results"}}};

std::string_view folder_name(BlobKind kind) {
  return std::ranges::find(kFolders, kind, [](const auto& entry) { return entry.first; })->second;
}

bool is_blob_id(std::string_view text) {
  return !text.empty() && text.size() <= 72 &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

Error failed(const fs::path& path, const std::error_code& why) {
  return Error{ErrorCode::kStateFailed, path.string() + ": " + why.message()};
}

// The entries of a folder; nothing where it is not there.
Result<std::vector<fs::directory_entry>> entries_of(const fs::path& folder) {
  std::vector<fs::directory_entry> entries;
  std::error_code failure;
  fs::directory_iterator entry(folder, failure), end;
  if (failure == std::errc::no_such_file_or_directory) return entries;
  while (!failure && entry != end) {
    entries.push_back(*entry);
    entry.increment(failure);
  }
  if (failure) return failed(folder, failure);
  return entries;
}

}  // namespace

Result<std::unique_ptr<FolderBlobs>> FolderBlobs::open(const fs::path& folder) {
  std::error_code failure;
  fs::create_directories(folder, failure);
  if (failure)
    return Error{ErrorCode::kFileUnwritable, "cannot make the folder " + folder.string() + ": " +
                                                 failure.message() +
                                                 "; give a folder that this user may write to with --state"};
  std::unique_ptr<FolderBlobs> blobs(new FolderBlobs(folder));
  std::size_t removed = 0;
  TACIT_TRY(const std::vector<fs::directory_entry> tenants, entries_of(folder));
  for (const fs::directory_entry& tenant : tenants) {
    for (const auto& [kind, name] : kFolders) {
      TACIT_TRY(const std::vector<fs::directory_entry> files, entries_of(tenant.path() / name));
      // write_file_atomic's temporaries begin with a dot; no blob does.
      for (const fs::directory_entry& file : files)
        if (file.path().filename().string().starts_with('.') && fs::remove(file.path(), failure)) ++removed;
    }
  }
  if (removed > 0) log_warning("unfinished files removed", {{"files", removed}, {"folder", folder.string()}});
  return blobs;
}

Result<std::unique_ptr<FolderBlobs>> FolderBlobs::open_beside(const fs::path& folder) {
  return std::unique_ptr<FolderBlobs>(new FolderBlobs(folder));
}

fs::path FolderBlobs::file_of(const BlobName& name) const {
  return folder_ / name.tenant / folder_name(name.kind) / name.id;
}

Status FolderBlobs::put(const BlobName& name, ByteView bytes) {
  if (!is_tenant_name(name.tenant) || !is_blob_id(name.id))
    return Error{ErrorCode::kInternal, "a blob was named \"" + name.tenant + "\", \"" + name.id + "\""};
  const fs::path file = file_of(name);
  TACIT_CHECK(make_durable_folder(file.parent_path()));
  return write_file_atomic(file, bytes, true);
}

Result<Bytes> FolderBlobs::get(const BlobName& name, std::uint64_t limit) {
  return read_file(file_of(name), limit);
}

Status FolderBlobs::remove(const BlobName& name) { return remove_durably(file_of(name)); }

Result<std::vector<BlobName>> FolderBlobs::list() {
  std::vector<BlobName> names;
  TACIT_TRY(const std::vector<fs::directory_entry> tenants, entries_of(folder_));
  for (const fs::directory_entry& tenant : tenants) {
    const std::string tenant_name = tenant.path().filename().string();
    for (const auto& [kind, folder] : kFolders) {
      TACIT_TRY(const std::vector<fs::directory_entry> files, entries_of(tenant.path() / folder));
      for (const fs::directory_entry& file : files) {
        const std::string id = file.path().filename().string();
        if (is_tenant_name(tenant_name) && is_blob_id(id)) names.push_back({tenant_name, kind, id});
      }
    }
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace tacit::server
