// SPDX-License-Identifier: Apache-2.0
// Where the key file's passphrase comes from: a file, the environment, or the person at the terminal.
#pragma once

#include <filesystem>
#include <string_view>

#include "base/result.h"
#include "secret/secure_memory.h"

namespace tacit::secret {

// A passphrase in locked memory. Movable, not copyable, not printable.
class Passphrase {
 public:
  static constexpr std::size_t kMaxBytes = 1024;

  // Copies 1 to kMaxBytes bytes into locked memory; kInvalidArgument for fewer or more.
  static Result<Passphrase> from(std::string_view text);
  std::string_view view() const { return {buffer_.data(), size_}; }

 private:
  friend class PassphraseReader;
  Passphrase() = default;
  SecureBuffer<char> buffer_;
  std::size_t size_ = 0;
};

inline constexpr const char* kPassphraseVariable = "TACIT_PASSPHRASE";

enum class PassphraseUse { kOpen, kCreate };

struct PassphraseSource {
  // Tried first, where it is not empty: the file's bytes without one line break at the end.
  std::filesystem::path file;
  // Asked last. Another one than /dev/tty only in tests.
  std::filesystem::path terminal = "/dev/tty";

  // Whether get() would find a passphrase, or somebody to ask.
  bool available() const;
  // From the file, else from TACIT_PASSPHRASE, else typed at the terminal without echo: once to open a key,
  // twice to create one. `purpose` completes the question, for instance "the key file /home/a/secret-15.key".
  // file.not-found, file.unreadable; passphrase.missing where there is no terminal or nothing was typed;
  // passphrase.mismatch where the two differ; argument.invalid for one of more than kMaxBytes or without any.
  Result<Passphrase> get(PassphraseUse use, std::string_view purpose) const;
};

}  // namespace tacit::secret
