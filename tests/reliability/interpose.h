// SPDX-License-Identifier: Apache-2.0
// What the libraries need that stand before the C library's functions. Nothing here allocates.
#pragma once

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>

namespace tacit::interpose {

// The function of this name that ours stands before.
template <class F>
F real(const char* name) {
  return reinterpret_cast<F>(::dlsym(RTLD_NEXT, name));
}

// Where an open file or folder lies; empty where nobody knows.
struct DescriptorPath {
  explicit DescriptorPath(int descriptor) {
    char link[40];
    std::snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    const ssize_t length = ::readlink(link, text, sizeof text - 1);
    text[length > 0 ? length : 0] = 0;
  }
  char text[4096];
};

// The third argument of open(), which is there for some flags only.
inline mode_t mode_of(int flags, va_list list) {
  return flags & (O_CREAT | O_TMPFILE) ? static_cast<mode_t>(va_arg(list, unsigned)) : 0;
}

}  // namespace tacit::interpose
