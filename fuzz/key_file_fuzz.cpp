// SPDX-License-Identifier: Apache-2.0
// Files of secret keys. What one guess of the passphrase may cost is cut down where the header asks for more than the
// least, so that the target spends its time on the reader.
#include <sys/mman.h>
#include <unistd.h>

#include "secret/key_file.h"
#include "server/temporary_folder.h"
#include "target.h"

namespace tacit::fuzz {
namespace {

constexpr std::string_view kPassphrase = "fuzz";
constexpr secret::KdfCost kCheap{1, 8192};
// Where the cost stands (protocol/key-file.md), and how much of it is taken.
constexpr std::size_t kOperationsAt = 12, kMemoryAt = 16;
constexpr std::uint32_t kMostOperations = 10, kMostMemory = 1u << 30;

std::uint32_t get(const Bytes& bytes, std::size_t at) {
  return static_cast<std::uint32_t>(Input(ByteView(bytes).subspan(at, 4)).word(4));
}
void put(Bytes& bytes, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
}

void make_cheap(Bytes& bytes) {
  if (bytes.size() < kMemoryAt + 4) return;
  const std::uint32_t operations = get(bytes, kOperationsAt), memory = get(bytes, kMemoryAt);
  if (operations <= kMostOperations && operations > kCheap.operations)
    put(bytes, kOperationsAt, kCheap.operations);
  if (memory <= kMostMemory && memory > kCheap.memory_bytes) put(bytes, kMemoryAt, kCheap.memory_bytes);
}

TACIT_FUZZ_TARGET(key_file) {
  static const int kFile = ::memfd_create("key", MFD_CLOEXEC);
  static const std::string kPath = "/proc/self/fd/" + std::to_string(kFile);
  static const server::TemporaryFolder kFolder;
  Bytes bytes(input.begin(), input.end());
  make_cheap(bytes);
  require(::ftruncate(kFile, 0) == 0 &&
              ::pwrite(kFile, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()),
          "there is memory for a file");
  const auto key = secret::load_key(kPath, kPassphrase);
  if (!accepted(key)) return;
  const std::filesystem::path copy = kFolder.path() / "copy.key";
  require(secret::save_key(*key, kPassphrase, copy, kCheap).ok(), "a key that was read can be saved");
  const auto again = secret::load_key(copy, kPassphrase);
  require(again.ok() && again->tag() == key->tag() && again->log_degree() == key->log_degree(),
          "it is the same key");
  std::filesystem::remove(copy);
}

}  // namespace
}  // namespace tacit::fuzz
