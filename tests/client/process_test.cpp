// SPDX-License-Identifier: Apache-2.0
#include "client/process.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>

namespace tacit::client {
namespace {

// In a process of its own: a test runner that leaves no core dumps would be no help.
TEST(ForbidDumps, LeavesNoCoreAndNoWayToReadTheMemory) {
  EXPECT_EXIT(
      {
        if (::prctl(PR_GET_DUMPABLE) != 1 || !forbid_dumps().ok()) ::_exit(1);
        rlimit core{1, 1};
        if (::getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0 || core.rlim_max != 0) ::_exit(2);
        ::_exit(::prctl(PR_GET_DUMPABLE) == 0 ? 0 : 3);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace tacit::client
