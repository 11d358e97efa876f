#include "io/subprocess.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "io/files.hpp"
#include "io/process_group.hpp"
#include "support/eventually.hpp"
#include "support/temp_dir.hpp"

namespace foreshadow::io {
namespace {

using testing::eventually;
using testing::TempDir;

Command shell(const std::string& script, Millis timeout = Millis{20'000}) {
  return {.argv = {"sh", "-c", script}, .timeout = timeout};
}

bool alive(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  const auto end = text.rfind(')');
  return end != std::string::npos && text.size() > end + 2 && text[end + 2] != 'Z' && text[end + 2] != 'X';
}

pid_t pid_in(const std::string& path) {
  const auto text = read_file(path);
  return text && text->ends_with('\n') ? std::atoi(text->c_str()) : 0;
}

int open_descriptors() {
  return static_cast<int>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

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

TEST(Subprocess, MovesMoreThanAPipeHoldsBothWaysAtOnce) {
  Command command{.argv = {"cat"}, .standard_input = std::string(700'000, 'x')};
  const auto finished = run(command);
  ASSERT_TRUE(finished) << finished.error().what;
  EXPECT_EQ(finished->out, command.standard_input);
}

TEST(Subprocess, AProgramThatIgnoresItsInputIsNoError) {
  auto command = shell("exec 0<&-; echo done");
  command.standard_input = std::string(700'000, 'x');
  const auto finished = run(command);
  ASSERT_TRUE(finished) << finished.error().what;
  EXPECT_EQ(finished->out, "done\n");
}

TEST(Subprocess, ArgumentsAreNeverReadByAShell) {
  const auto finished = run({.argv = {"printf", "%s", "; echo $(id) `id` \n*"}});
  ASSERT_TRUE(finished);
  EXPECT_EQ(finished->out, "; echo $(id) `id` \n*");
}

TEST(Subprocess, TheEnvironmentIsCleanButForWhatIsGiven) {
  ::setenv("FORESHADOW_TEST_SECRET", "leak", 1);
  auto command = shell("env | sort; pwd");
  command.environment = {{"GIVEN", "yes"}, {"TZ", "Europe/Berlin"}};
  command.working_dir = "/usr";
  const auto finished = run(command);
  ::unsetenv("FORESHADOW_TEST_SECRET");
  ASSERT_TRUE(finished);
  EXPECT_EQ(finished->out.find("SECRET"), std::string::npos);
  EXPECT_NE(finished->out.find("GIVEN=yes\n"), std::string::npos);
  EXPECT_NE(finished->out.find("TZ=Europe/Berlin\n"), std::string::npos);
  EXPECT_NE(finished->out.find("LANG=C.UTF-8\n"), std::string::npos);
  EXPECT_NE(finished->out.find("PATH="), std::string::npos);
  EXPECT_NE(finished->out.find("HOME="), std::string::npos);
  EXPECT_TRUE(finished->out.ends_with("/usr\n"));
}

TEST(Subprocess, InheritsNoDescriptorAndASessionOfItsOwn) {
  const int open_here = ::open("/dev/null", O_RDONLY);  // without O_CLOEXEC, as a careless library would
  const auto finished = run(shell("ls /proc/self/fd | tr '\\n' ' '; cut -d' ' -f5,6 /proc/$$/stat; echo $$"));
  ::close(open_here);
  ASSERT_TRUE(finished);
  EXPECT_TRUE(finished->out.starts_with("0 1 2 3 ")) << finished->out;  // 3 is ls reading the directory
  EXPECT_EQ(finished->out.find(" 4 "), std::string::npos) << finished->out;
  int group = 0, session = 0, pid = 0;
  ASSERT_EQ(std::sscanf(finished->out.c_str(), "0 1 2 3 %d %d %d", &group, &session, &pid), 3) << finished->out;
  EXPECT_EQ(group, pid);
  EXPECT_EQ(session, pid);
}

TEST(Subprocess, SignalsAreAtTheirDefaults) {
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const auto previous = ::signal(SIGTERM, SIG_IGN);
  const auto finished = run(shell("kill -TERM $$; echo survived"));
  ::signal(SIGTERM, previous);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ASSERT_TRUE(finished);
  EXPECT_EQ(finished->exit_code, 128 + SIGTERM);
  EXPECT_EQ(finished->out, "");
}

TEST(Subprocess, NamesAMissingProgramAndAMissingDirectory) {
  auto missing = run({.argv = {"no-such-program-here"}});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::unreachable);
  EXPECT_NE(missing.error().what.find("no-such-program-here"), std::string::npos);
  missing = run({.argv = {"/no/such/program"}});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::unreachable);
  auto nowhere = run({.argv = {"true"}, .working_dir = "/no/such/dir"});
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().code, Code::io);
  EXPECT_NE(nowhere.error().what.find("/no/such/dir"), std::string::npos);
}

TEST(Subprocess, RefusesWhatCannotBeRun) {
  EXPECT_EQ(run({}).error().code, Code::invalid);
  EXPECT_EQ(run({.argv = {"echo", std::string("a\0b", 3)}}).error().code, Code::invalid);
  EXPECT_EQ(run({.argv = {"true"}, .environment = {{"A=B", "c"}}}).error().code, Code::invalid);
  TempDir dir;
  std::ofstream(dir / "plain") << "text";
  EXPECT_EQ(run({.argv = {dir / "plain"}}).error().code, Code::unreachable);
}

TEST(Subprocess, AHangIsKilledAtItsDeadlineWithAllOfItsGroup) {
  TempDir dir;
  const auto finished = run(shell("echo trying >&2; sleep 600 & echo $! > " + dir / "pid" + "; wait", Millis{300}));
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().code, Code::timeout);
  EXPECT_NE(finished.error().what.find("it said last: trying"), std::string::npos) << finished.error().what;
  ASSERT_GT(pid_in(dir / "pid"), 0);
  EXPECT_FALSE(alive(pid_in(dir / "pid")));
}

TEST(Subprocess, AProgramThatIgnoresEverySignalButKillIsKilled) {
  const auto finished = run(shell("trap '' TERM INT HUP PIPE; while :; do sleep 0.05; done", Millis{200}));
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().code, Code::timeout);
}

TEST(Subprocess, AClosedOutputIsNotAnExit) {
  const auto finished = run(shell("exec >&- 2>&-; sleep 600", Millis{200}));
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().code, Code::timeout);
}

TEST(Subprocess, AStopTokenEndsIt) {
  std::stop_source source;
  TempDir dir;
  std::jthread stopper([&] {
    eventually([&] { return pid_in(dir / "pid") > 0; });
    source.request_stop();
  });
  const auto finished = run(shell("echo $$ > " + dir / "pid" + "; sleep 600"), source.get_token());
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().code, Code::cancelled);
  EXPECT_FALSE(alive(pid_in(dir / "pid")));
}

TEST(Subprocess, NothingStartsOnceStopped) {
  std::stop_source source;
  source.request_stop();
  TempDir dir;
  const auto finished = run(shell("touch " + dir / "ran"), source.get_token());
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().code, Code::cancelled);
  EXPECT_FALSE(std::filesystem::exists(dir / "ran"));
}

TEST(Subprocess, AFloodOfOutputIsKilledAtTheCap) {
  for (const char* flood : {"exec yes", "exec yes >&2"}) {
    auto command = shell(flood);
    command.output_max = 100'000;
    const auto finished = run(command);
    ASSERT_FALSE(finished);
    EXPECT_EQ(finished.error().code, Code::invalid);
    EXPECT_NE(finished.error().what.find("100000"), std::string::npos);
  }
}

TEST(Subprocess, OutputOfExactlyTheCapIsAllowed) {
  auto command = shell("head -c 100000 /dev/zero");
  command.output_max = 100'000;
  const auto finished = run(command);
  ASSERT_TRUE(finished) << finished.error().what;
  EXPECT_EQ(finished->out.size(), 100'000u);
}

TEST(Subprocess, ALeftoverThatHoldsOurPipesIsCountedAndKilled) {
  TempDir dir;
  const auto finished = run(shell("sleep 600 & echo $! > " + dir / "pid" + "; sleep 601 & echo ok"));
  ASSERT_TRUE(finished) << finished.error().what;
  EXPECT_EQ(finished->out, "ok\n");
  EXPECT_EQ(finished->leftover, 2);
  EXPECT_FALSE(alive(pid_in(dir / "pid")));
  EXPECT_LT(finished->took, Millis{10'000});
}

TEST(Subprocess, AStragglerThatEndsByItselfIsNoLeftover) {
  const auto finished = run(shell("(sleep 0.05; echo late) & echo early"));
  ASSERT_TRUE(finished);
  EXPECT_EQ(finished->leftover, 0);
  EXPECT_EQ(finished->out, "early\nlate\n");
}

TEST(Subprocess, ADaemonThatLeftTheGroupStaysAndCannotMakeUsWait) {
  TempDir dir;
  // The daemon keeps our standard output open, as careless daemons do.
  const auto finished = run(shell("setsid sh -c 'echo $$ > " + dir / "pid" + "; exec sleep 600' & while [ ! -s " +
                                  dir / "pid" + " ]; do sleep 0.01; done; echo up"));
  ASSERT_TRUE(finished) << finished.error().what;
  EXPECT_EQ(finished->leftover, 0);
  EXPECT_EQ(finished->out, "up\n");
  const pid_t daemon = pid_in(dir / "pid");
  ASSERT_GT(daemon, 0);
  EXPECT_TRUE(alive(daemon));
  ::kill(daemon, SIGKILL);
}

TEST(Subprocess, GivesLinesOfProgressAsTheyComeAndTheLastWithoutItsNewline) {
  TempDir dir;
  std::vector<std::string> lines;
  auto command = shell("echo one >&2; while [ ! -e " + dir / "seen" +
                       " ]; do sleep 0.01; done; printf 'two\\r\\nthr' >&2; printf 'ee' >&2");
  command.on_stderr_line = [&](const std::string& line) {
    lines.push_back(line);
    std::ofstream(dir / "seen") << "";  // it goes on only once its first line has been given on
  };
  const auto finished = run(command);
  ASSERT_TRUE(finished) << finished.error().what;
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "two", "three"}));
}

TEST(Subprocess, GivesLinesOfOutputToo) {
  std::vector<std::string> lines;
  auto command = shell("echo one; echo two >&2; printf three");
  command.on_stdout_line = [&](const std::string& line) { lines.push_back(line); };
  const auto finished = run(command);
  ASSERT_TRUE(finished);
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "three"}));
  EXPECT_EQ(finished->out, "one\nthree");
}

TEST(Subprocess, AnInterruptComesBeforeTheKillWhenAskedFor) {
  TempDir dir;
  auto polite = shell(
      "trap 'echo saved > " + dir / "saved" + "; exit 0' INT; echo up >&2; while :; do sleep 0.02; done", Millis{400});
  polite.interrupt_grace = Millis{20'000};
  auto finished = run(polite);
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().code, Code::timeout) << "it is late all the same";
  EXPECT_EQ(read_file(dir / "saved").value_or(""), "saved\n");
  auto stubborn = shell("trap '' INT; while :; do sleep 0.02; done", Millis{100});
  stubborn.interrupt_grace = Millis{100};
  finished = run(stubborn);
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().code, Code::timeout);
}

TEST(Subprocess, AListenerThatThrowsLeavesNothingBehind) {
  TempDir dir;
  auto command = shell("echo $$ > " + dir / "pid" + "; echo line >&2; sleep 600");
  command.on_stderr_line = [](const std::string&) { throw std::runtime_error("no more"); };
  EXPECT_THROW((void)run(command), std::runtime_error);
  ASSERT_GT(pid_in(dir / "pid"), 0);
  EXPECT_FALSE(alive(pid_in(dir / "pid")));
}

TEST(Subprocess, BytesThatAreNotUtf8ComeThroughAsTheyAre) {
  const auto finished = run(shell("printf '\\377\\000\\200'"));
  ASSERT_TRUE(finished);
  EXPECT_EQ(finished->out, std::string("\xff\0\x80", 3));
}

TEST(Subprocess, RunsAsAnotherUserWithoutOurGroups) {
  ASSERT_EQ(::getuid(), 0u) << "this test changes users: run it as root";
  auto command = shell("id -u; id -g; id -G; sleep 0.2 & wait");
  command.uid = 65534;
  const auto finished = run(command);
  ASSERT_TRUE(finished) << finished.error().what;
  EXPECT_EQ(finished->out, "65534\n65534\n65534\n");
  EXPECT_EQ(finished->exit_code, 0);
  command.uid = 4'000'000'000;
  EXPECT_EQ(run(command).error().code, Code::invalid);
}

TEST(Subprocess, ALeftoverOfAnotherUserIsKilledToo) {
  ASSERT_EQ(::getuid(), 0u) << "this test changes users: run it as root";
  auto command = shell("sleep 600 & echo $!");
  command.uid = 65534;
  const auto finished = run(command);
  ASSERT_TRUE(finished) << finished.error().what;
  EXPECT_EQ(finished->leftover, 1);
  EXPECT_FALSE(alive(std::atoi(finished->out.c_str())));
}

TEST(Subprocess, LeaksNoDescriptorOnAnyPath) {
  (void)run(shell("true"));
  const int before = open_descriptors();
  for (int i = 0; i < 5; ++i) {
    (void)run(shell("true"));
    (void)run({.argv = {"/no/such/program"}});
    (void)run({.argv = {"no-such-program-here"}});
    (void)run(shell("sleep 600", Millis{20}));
  }
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child was not reaped";
}

TEST(Subprocess, ManyAtOnceFromManyThreads) {
  std::atomic<int> right{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; ++t)
      threads.emplace_back([&, t] {
        for (int i = 0; i < 5; ++i) {
          const auto finished = run({.argv = {"cat"}, .standard_input = std::to_string(t)});
          if (finished && finished->out == std::to_string(t) && finished->leftover == 0) ++right;
        }
      });
  }
  EXPECT_EQ(right, 40);
}

// Starts `work` in a process of its own and returns its pid.
template <class Work>
pid_t in_child(Work&& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    work();
    ::_exit(0);
  }
  return child;
}

TEST(Subprocess, TheWholeGroupDiesWhenWeAreKilled) {
  TempDir dir;
  // The grandchild is what PR_SET_PDEATHSIG would miss; it also ignores every signal that can be ignored.
  const pid_t caller = in_child([&] {
    (void)run(shell("sh -c 'trap \"\" TERM HUP INT; echo $$ > " + dir / "grandchild" +
                        "; while :; do sleep 1; done' & echo $$ > " + dir / "child" + "; wait",
                    Millis{600'000}));
  });
  ASSERT_TRUE(eventually([&] { return pid_in(dir / "grandchild") > 0 && pid_in(dir / "child") > 0; }));
  const pid_t child = pid_in(dir / "child"), grandchild = pid_in(dir / "grandchild");
  ASSERT_TRUE(alive(grandchild));
  ::kill(caller, SIGKILL);
  ::waitpid(caller, nullptr, 0);
  EXPECT_TRUE(eventually([&] { return !alive(child) && !alive(grandchild); }));
  EXPECT_TRUE(eventually([&] { return living_members(child).value_or(-1) == 0; }));
}

TEST(Subprocess, TheProgramDiesWithItsKeeper) {
  TempDir dir;
  pid_t keeper = 0;
  std::jthread killer([&] {
    if (!eventually([&] { return pid_in(dir / "pids") > 0; })) return;
    keeper = std::atoi(read_file(dir / "pids")->substr(read_file(dir / "pids")->find(' ')).c_str());
    ::kill(keeper, SIGKILL);
  });
  const auto finished = run(shell("echo $$ $PPID > " + dir / "pids" + "; exec sleep 600"));
  killer.join();
  ASSERT_GT(keeper, 1);
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().code, Code::io);
  EXPECT_TRUE(eventually([&] { return !alive(pid_in(dir / "pids")); }));
}

TEST(Subprocess, OutlivesTheThreadsAroundIt) {
  // A thread that comes and goes while the program runs must not take it along, whichever forked first.
  std::jthread noise([](std::stop_token stop) {
    while (!stop.stop_requested()) std::jthread([] { (void)run(shell("true")); }).join();
  });
  const auto finished = run(shell("sleep 0.5; echo whole"));
  ASSERT_TRUE(finished) << finished.error().what;
  EXPECT_EQ(finished->out, "whole\n");
  EXPECT_EQ(finished->exit_code, 0);
}

}  // namespace
}  // namespace foreshadow::io
