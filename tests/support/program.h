// SPDX-License-Identifier: Apache-2.0
// For programs that measure: they have no caller to hand an error to.
#pragma once

#include <cstdlib>
#include <iostream>

#include "base/result.h"

namespace tacit::program {

// The value, or the end of the program with the error's line.
template <class T>
T unwrap(Result<T> result) {
  if (!result.ok()) {
    std::cerr << result.error().to_line() << "\n";
    std::exit(1);
  }
  return std::move(result).value();
}

}  // namespace tacit::program
