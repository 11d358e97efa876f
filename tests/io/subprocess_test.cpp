#include "io/subprocess.hpp"

#include <gtest/gtest.h>

namespace foreshadow::io {
namespace {
Command shell(const std::string& script) { return {.argv = {"sh", "-c", script}}; }

TEST(Subprocess, GivesInputAndReturnsBothOutputsAndTheExitCode) {
  auto command = shell("cat; echo oops >&2; exit 3");
  command.standard_input = "hello";
  const auto finished = run(command);
  ASSERT_TRUE(finished) << finished.error().what;
  EXPECT_EQ(finished->out, "hello");
  EXPECT_EQ(finished->err, "oops\n");
  EXPECT_EQ(finished->exit_code, 3);
  EXPECT_EQ(finished->leftover, 0);
}
}  // namespace
}  // namespace foreshadow::io
