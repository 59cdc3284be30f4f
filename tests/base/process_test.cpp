// SPDX-License-Identifier: Apache-2.0
#include "base/process.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace tacit {
namespace {

// 0 where a process that was dumpable no longer is.
int dumps_left() {
  if (::prctl(PR_GET_DUMPABLE) != 1 || !forbid_dumps().ok()) return 1;
  rlimit core{1, 1};
  if (::getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0 || core.rlim_max != 0) return 2;
  return ::prctl(PR_GET_DUMPABLE) == 0 ? 0 : 3;
}

// In a process of its own: a test runner that leaves no core dumps would be no help.
TEST(ForbidDumps, LeavesNoCoreAndNoWayToReadTheMemory) {
  EXPECT_EXIT(::_exit(dumps_left()), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace tacit
