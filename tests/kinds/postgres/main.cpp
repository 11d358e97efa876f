// The runner is also the agent it tests: started with --agent it serves until it is killed, which tests do at will.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "kinds/postgres/agent_process.hpp"

int main(int argc, char** argv) {
  if (argc == 4 && std::strcmp(argv[1], "--agent") == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return foreshadow::testing::serve_as_agent(argv[2], argv[3]);
  }
  // Clusters are made by the dozen here; on a disk their fsyncs would be most of the run. TMPDIR says otherwise.
  if (access("/dev/shm", W_OK) == 0) setenv("TMPDIR", "/dev/shm", 0);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
