// SPDX-License-Identifier: Apache-2.0
// What a process that will hold secrets does first.
#pragma once

#include "base/result.h"

namespace tacit {

// No core dumps, and no reading of this process's memory by others of the same user (ptrace, /proc).
// `internal` where the operating system refuses.
Status forbid_dumps();

}  // namespace tacit
