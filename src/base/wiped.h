// SPDX-License-Identifier: Apache-2.0
// Temporaries that tell of a secret, wiped when they go.
#pragma once

#include "base/aligned.h"

namespace tacit {

// Wipes memory in a way that the compiler may not remove.
void wipe(void* memory, std::size_t bytes);

// An aligned array, uninitialised at first.
template <class T>
struct Wiped {
  explicit Wiped(std::size_t count) : values(count) {}
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;
  ~Wiped() { wipe(values.data(), values.size() * sizeof(T)); }
  AlignedVector<T> values;
};

}  // namespace tacit
