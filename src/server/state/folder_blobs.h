// SPDX-License-Identifier: Apache-2.0
// Blobs as files: FOLDER/TENANT/KIND/ID.
#pragma once

#include <filesystem>
#include <memory>

#include "server/state/blobs.h"

namespace tacit::server {

class FolderBlobs final : public Blobs {
 public:
  // Makes the folder where there is none and removes what interrupted writes left behind. kFileUnwritable.
  static Result<std::unique_ptr<FolderBlobs>> open(const std::filesystem::path& folder);
  // Leaves everything as it is: another process may be writing there.
  static Result<std::unique_ptr<FolderBlobs>> open_beside(const std::filesystem::path& folder);

  Status put(const BlobName& name, ByteView bytes) override;
  Result<Bytes> get(const BlobName& name, std::uint64_t limit) override;
  Status remove(const BlobName& name) override;
  Result<std::vector<BlobName>> list() override;

 private:
  explicit FolderBlobs(std::filesystem::path folder) : folder_(std::move(folder)) {}
  std::filesystem::path file_of(const BlobName& name) const;

  const std::filesystem::path folder_;
};

}  // namespace tacit::server
