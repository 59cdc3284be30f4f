// SPDX-License-Identifier: Apache-2.0
// Running SEAL: a folder that both sides read and write, and node with one of the scripts beside this file.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "base/bytes.h"

namespace tacit::seal {

// Why SEAL cannot be run here; empty where it can.
std::string missing_oracle();

// A new folder, removed in the end unless the running test has failed: SEAL's randomness cannot be repeated, so the files
// are the only trace. Files that cannot be read or written throw std::runtime_error.
class ExchangeFolder {
 public:
  ExchangeFolder();
  ~ExchangeFolder();
  ExchangeFolder(const ExchangeFolder&) = delete;
  ExchangeFolder& operator=(const ExchangeFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  Bytes read(const std::string& name) const;
  void write(const std::string& name, ByteView bytes) const;
  void write_numbers(const std::string& name, std::span<const double> numbers) const;

  // Runs tests/seal/SCRIPT on this folder and returns what it printed; throws with what it complained of if it fails.
  std::string run(const std::string& script) const;

 private:
  std::filesystem::path path_;
};

}  // namespace tacit::seal
