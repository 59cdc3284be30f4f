// SPDX-License-Identifier: Apache-2.0
// How much memory a control group leaves, from files like the kernel's.
#include "server/process_info.h"

#include <gtest/gtest.h>

#include <fstream>

#include "server/temporary_folder.h"

namespace tacit::server {
namespace {

class ControlGroupTest : public testing::Test {
 protected:
  static void write(const std::filesystem::path& file, const std::string& text) {
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  std::optional<std::uint64_t> limit(const std::string& membership) {
    write(folder_.path() / "cgroup", membership);
    return control_group_limit(folder_.path() / "cgroup", root_);
  }

  TemporaryFolder folder_;
  const std::filesystem::path root_ = folder_.path() / "fs";
};

TEST_F(ControlGroupTest, TheLeastOfAllGroupsAboveCounts) {
  write(root_ / "system.slice/tacitd.service/memory.max", "max\n");
  write(root_ / "system.slice/memory.max", "max\n");
  EXPECT_EQ(limit("0::/system.slice/tacitd.service\n"), std::nullopt);
  write(root_ / "system.slice/tacitd.service/memory.max", "6442450944\n");
  EXPECT_EQ(limit("0::/system.slice/tacitd.service\n"), 6442450944u);
  write(root_ / "system.slice/memory.max", "4294967296\n");
  EXPECT_EQ(limit("0::/system.slice/tacitd.service\n"), 4294967296u);
}

// A container sees its own group as the root.
TEST_F(ControlGroupTest, TheRootMayHaveOne) {
  write(root_ / "memory.max", "1073741824\n");
  EXPECT_EQ(limit("0::/\n"), 1073741824u);
  EXPECT_EQ(limit("0::/gone/away\n"), 1073741824u);
}

TEST_F(ControlGroupTest, OtherVersionsAndSystemsHaveNone) {
  write(root_ / "memory.max", "1073741824\n");
  EXPECT_EQ(limit("5:memory:/x\n"), std::nullopt);
  EXPECT_EQ(limit("5:memory:/x\n0::/\n"), 1073741824u);
  EXPECT_EQ(limit(""), std::nullopt);
  EXPECT_EQ(control_group_limit("/nonexistent", root_), std::nullopt);
}

TEST(Memory, ThereIsSome) { EXPECT_GT(memory_there_is(), std::uint64_t{1} << 20); }

}  // namespace
}  // namespace tacit::server
