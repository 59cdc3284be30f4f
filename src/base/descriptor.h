// SPDX-License-Identifier: Apache-2.0
// A file descriptor that is closed on every way out, and what errno says.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace tacit {

struct Descriptor {
  explicit Descriptor(int descriptor) : fd(descriptor) {}
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  const int fd;  // negative where nothing was opened
};

inline std::string errno_text() { return std::strerror(errno); }

}  // namespace tacit
