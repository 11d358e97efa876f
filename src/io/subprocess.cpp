#include "io/subprocess.hpp"

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <sstream>

#include "io/fd.hpp"
#include "io/keeper.hpp"
#include "io/process_group.hpp"
#include "io/wait.hpp"

namespace foreshadow::io {
namespace {

// Helpers that end a moment after the program (a `tee` behind it) are not left behind.
constexpr Millis kGrace{200};
constexpr Millis kScanEvery{10};
constexpr Millis kDyingMax{2000};

struct Pipe {
  Fd read, write;
};
Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail(Code::io, errno_text("pipe"));
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

// Only our end: O_NONBLOCK belongs to the open file, and the other end's is another one.
void make_nonblocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

// Writing to a program that has closed its input must be an error to us, not a signal to the process.
class SigpipeBlocked {
 public:
  SigpipeBlocked() {
    ::sigemptyset(&sigpipe_);
    ::sigaddset(&sigpipe_, SIGPIPE);
    sigset_t pending;
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    ::pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
  }
  SigpipeBlocked(const SigpipeBlocked&) = delete;
  SigpipeBlocked& operator=(const SigpipeBlocked&) = delete;
  ~SigpipeBlocked() {
    const timespec now{0, 0};
    if (!was_pending_)
      while (::sigtimedwait(&sigpipe_, nullptr, &now) < 0 && errno == EINTR) {
      }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t sigpipe_, before_;
  bool was_pending_ = false;
};

std::map<std::string, std::string> environment_of(const Command& command) {
  std::map<std::string, std::string> environment = command.environment;
  const auto inherit = [&](const char* name, const char* otherwise) {
    const char* ours = std::getenv(name);
    environment.try_emplace(name, ours && *ours ? ours : otherwise);
  };
  inherit("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  inherit("HOME", "/");
  environment.try_emplace("LANG", "C.UTF-8");
  environment.try_emplace("TZ", "UTC");
  return environment;
}

bool executable_file(const std::string& path) {
  struct stat st{};
  return ::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

Result<std::string> find_program(const std::string& name, const std::string& path) {
  if (name.find('/') != std::string::npos) return name;  // relative to the working directory: execve decides
  std::istringstream folders(path);
  for (std::string folder; std::getline(folders, folder, ':');)
    if (auto candidate = (folder.empty() ? "." : folder) + "/" + name; executable_file(candidate)) return candidate;
  return fail(Code::unreachable, name + ": no such program in PATH (" + path + ")");
}

Result<void> check(const Command& command) {
  if (command.argv.empty() || command.argv[0].empty())
    return fail(Code::invalid, "a command needs a program: argv is empty");
  for (const auto& argument : command.argv)
    if (argument.find('\0') != std::string::npos)
      return fail(Code::invalid, command.argv[0] + ": an argument holds a NUL byte");
  for (const auto& [name, value] : command.environment)
    if (name.empty() || name.find('=') != std::string::npos || (name + value).find('\0') != std::string::npos)
      return fail(Code::invalid, command.argv[0] + ": bad environment variable '" + name + "'");
  return {};
}

// A user without a group of its own would keep ours; take the one its account has.
Result<gid_t> group_of(uid_t uid) {
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 16384> buffer;
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) != 0 || !found)
    return fail(Code::invalid, "user " + std::to_string(uid) + " has no account; give a group with it");
  return entry.pw_gid;
}

// One run from fork to the last reaped process. Whatever path leaves run(), also an exception of on_stderr_line, the
// destructor leaves nothing of the group behind.
class Run {
 public:
  Run(const Command& command, std::stop_token stop)
      : command_(command), stop_(std::move(stop)), deadline_(command.timeout) {}
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  ~Run() { end(); }

  Result<void> start();
  Result<Finished> finish();

 private:
  Result<void> pump(const Deadline& until, bool& all_closed);
  Result<void> read_from(Fd& from, std::string& into);
  Result<void> read_report();
  void write_input();
  void give_lines(bool last);
  void interrupt();
  Result<void> sweep();
  Error explain(const KeeperReport& failed) const;
  Error with_last_words(Error error) const;
  void kill_group();
  void end();

  const Command& command_;
  StopEvent stop_;
  Deadline deadline_;
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  SigpipeBlocked sigpipe_;
  Fd in_, out_, err_, life_, report_;
  pid_t keeper_ = -1, group_ = -1;
  std::size_t written_ = 0, out_lined_ = 0, err_lined_ = 0;
  bool interrupted_ = false;
  std::optional<int> exit_code_;
  Finished finished_;
};

Result<void> Run::start() {
  FS_CHECK(check(command_));
  if (stop_.stopped()) return fail(Code::cancelled, command_.argv[0] + ": told to stop before it was started");
  const auto environment = environment_of(command_);
  FS_TRY(program, find_program(command_.argv[0], environment.at("PATH")));
  std::vector<std::string> settings;
  settings.reserve(environment.size());
  for (const auto& [name, value] : environment) settings.emplace_back(name).append("=").append(value);
  std::vector<char*> argv, env;
  for (const auto& argument : command_.argv) argv.push_back(const_cast<char*>(argument.c_str()));
  for (const auto& setting : settings) env.push_back(const_cast<char*>(setting.c_str()));
  argv.push_back(nullptr);
  env.push_back(nullptr);

  FS_TRY(in, make_pipe());
  FS_TRY(out, make_pipe());
  FS_TRY(err, make_pipe());
  FS_TRY(life, make_pipe());
  FS_TRY(report, make_pipe());
  KeeperPlan plan{.program = program.c_str(),
                  .argv = argv.data(),
                  .environment = env.data(),
                  .working_dir = command_.working_dir.empty() ? nullptr : command_.working_dir.c_str(),
                  .in = in.read.get(),
                  .out = out.write.get(),
                  .err = err.write.get(),
                  .life = life.read.get(),
                  .report = report.write.get()};
  if (command_.uid || command_.gid) {
    plan.change_user = true;
    plan.uid = command_.uid.value_or(::getuid());
    if (command_.gid) {
      plan.gid = *command_.gid;
    } else {
      FS_TRY(gid, group_of(plan.uid));
      plan.gid = gid;
    }
  }
  // No handler of ours may run in the child.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  keeper_ = ::fork();
  if (keeper_ == 0) keep(plan);
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (keeper_ < 0) return fail(Code::io, errno_text("fork", error));
  in_ = std::move(in.write);
  out_ = std::move(out.read);
  err_ = std::move(err.read);
  life_ = std::move(life.write);
  report_ = std::move(report.read);
  for (const int fd : {in_.get(), out_.get(), err_.get(), report_.get()}) make_nonblocking(fd);
  return {};
}

Error Run::explain(const KeeperReport& failed) const {
  const std::string& program = command_.argv[0];
  switch (failed.step) {
    case KeeperReport::fork:
      return {Code::io, errno_text(program + ": cannot start a process", failed.value)};
    case KeeperReport::user:
      return {Code::io, errno_text(program + ": cannot change to its user", failed.value)};
    case KeeperReport::directory:
      return {Code::io, errno_text(program + ": working directory " + command_.working_dir, failed.value)};
    case KeeperReport::execute:
      break;
  }
  return {Code::unreachable, errno_text(program + ": cannot be run", failed.value)};
}

// What it said last is usually why it hangs.
Error Run::with_last_words(Error error) const {
  auto end = finished_.err.find_last_not_of("\r\n");
  if (end == std::string::npos) return error;
  auto begin = finished_.err.find_last_of('\n', end);
  begin = begin == std::string::npos ? 0 : begin + 1;
  error.what += "; it said last: " + finished_.err.substr(begin, std::min<std::size_t>(end + 1 - begin, 300));
  return error;
}

Result<void> Run::read_report() {
  KeeperReport message;
  for (;;) {
    const auto n = ::read(report_.get(), &message, sizeof message);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return {};
    if (n != sizeof message) return fail(Code::io, command_.argv[0] + ": its keeper was killed, and it with it");
    if (message.kind == KeeperReport::started) group_ = message.value;
    if (message.kind == KeeperReport::exited) exit_code_ = message.value;
    if (message.kind == KeeperReport::failed) return tl::make_unexpected(explain(message));
    if (exit_code_) return {};
  }
}

Result<void> Run::read_from(Fd& from, std::string& into) {
  std::array<char, 65536> buffer;
  // Bounded per call, so that a flood on one stream starves neither the other nor the deadline.
  for (int rounds = 0; rounds < 4; ++rounds) {
    const auto n = ::read(from.get(), buffer.data(), buffer.size());
    if (n == 0) from.reset();
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return {};
    if (into.size() + static_cast<std::size_t>(n) > command_.output_max)
      return fail(Code::invalid, command_.argv[0] + ": wrote more than the " + std::to_string(command_.output_max) +
                                     " bytes allowed on one stream; killed");
    into.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return {};
}

void Run::write_input() {
  while (written_ < command_.standard_input.size()) {
    const auto n =
        ::write(in_.get(), command_.standard_input.data() + written_, command_.standard_input.size() - written_);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) break;  // it does not want the rest
    written_ += static_cast<std::size_t>(n);
  }
  in_.reset();
}

// From `at` on; the last line may have no end.
void each_line(const std::string& text, std::size_t& at, bool last,
               const std::function<void(const std::string&)>& give) {
  if (!give) return;
  const auto give_until = [&](std::size_t end) {
    auto length = end - at;
    if (length > 0 && text[end - 1] == '\r') --length;
    give(text.substr(at, length));
  };
  for (std::size_t end; (end = text.find('\n', at)) != std::string::npos; at = end + 1) give_until(end);
  if (last && at < text.size()) {
    give_until(text.size());
    at = text.size();
  }
}

void Run::give_lines(bool last) {
  each_line(finished_.out, out_lined_, last, command_.on_stdout_line);
  each_line(finished_.err, err_lined_, last, command_.on_stderr_line);
}

// A last chance to save its work. What it does with it is of no more interest: the outcome is decided.
void Run::interrupt() {
  if (command_.interrupt_grace <= Millis{0} || group_ <= 0 || exit_code_) return;
  interrupted_ = true;
  ::kill(-group_, SIGINT);
  bool all_closed = false;
  (void)pump(Deadline(command_.interrupt_grace), all_closed);
}

// Moves bytes until `until`, the exit of the program (when it has not exited yet), or the close of both outputs.
Result<void> Run::pump(const Deadline& until, bool& all_closed) {
  const bool had_exited = exit_code_.has_value();
  all_closed = false;
  while (!until.passed()) {
    pollfd fds[5] = {{report_.get(), POLLIN, 0},
                     {stop_.fd(), POLLIN, 0},
                     {out_.get(), POLLIN, 0},
                     {err_.get(), POLLIN, 0},
                     {in_.get(), POLLOUT, 0}};  // poll ignores a negative descriptor
    if (had_exited) fds[0].fd = -1;
    FS_TRY(ready, poll_until(fds, until));
    if (stop_.stopped() && !interrupted_) return fail(Code::cancelled, command_.argv[0] + ": told to stop; killed");
    if (!ready) break;
    if (fds[2].revents != 0) FS_CHECK(read_from(out_, finished_.out));
    if (fds[3].revents != 0) FS_CHECK(read_from(err_, finished_.err));
    if (fds[4].revents != 0) write_input();
    give_lines(false);
    if (fds[0].revents != 0) FS_CHECK(read_report());
    if (exit_code_ && !had_exited) return {};
    if (had_exited && !out_ && !err_) {
      all_closed = true;
      return {};
    }
  }
  return {};
}

void Run::kill_group() {
  if (group_ > 0) ::kill(-group_, SIGKILL);
}

// The program has exited: wait a moment for stragglers, count and kill those that stay. Output is taken as long as the
// group lives; a daemon that left the group but kept our pipe cannot make us wait for its end of file.
Result<void> Run::sweep() {
  bool all_closed = false;
  int living = 0;
  const Deadline grace(kGrace);
  for (;;) {
    FS_TRY(now_living, living_members(group_));
    living = now_living;
    if (living == 0 || grace.passed() || deadline_.passed()) break;
    if (all_closed) {
      FS_CHECK(poll_until({}, Deadline(kScanEvery)));
    } else {
      FS_CHECK(pump(Deadline(kScanEvery), all_closed));
    }
  }
  finished_.leftover = living;
  if (living > 0) kill_group();
  const Deadline dying(kDyingMax);
  while (living > 0) {
    if (dying.passed())
      return fail(Code::io, command_.argv[0] + ": left " + std::to_string(living) +
                                " processes that cannot be killed (group " + std::to_string(group_) + ")");
    FS_CHECK(poll_until({}, Deadline(Millis{1})));
    FS_TRY(now_living, living_members(group_));
    living = now_living;
  }
  // What the group wrote is in the pipes by now. Not waiting for more, and not for ever if a daemon floods.
  for (auto [from, into] : {std::pair{&out_, &finished_.out}, std::pair{&err_, &finished_.err}}) {
    std::size_t before = 0;
    do {
      before = into->size();
      if (*from) FS_CHECK(read_from(*from, *into));
    } while (*from && into->size() > before);
  }
  return {};
}

Result<Finished> Run::finish() {
  bool all_closed = false;
  if (command_.standard_input.empty()) in_.reset();
  auto pumped = pump(deadline_, all_closed);
  if (pumped && !exit_code_)
    pumped = fail(Code::timeout,
                  command_.argv[0] + ": not done within " + std::to_string(command_.timeout.count()) + " ms; killed");
  if (!pumped) {
    if (pumped.error().code == Code::timeout || pumped.error().code == Code::cancelled) interrupt();
    return tl::make_unexpected(with_last_words(pumped.error()));
  }
  if (auto swept = sweep(); !swept) return tl::make_unexpected(with_last_words(swept.error()));
  give_lines(true);
  finished_.exit_code = *exit_code_;
  finished_.took = std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - started_);
  return std::move(finished_);
}

void Run::end() {
  if (keeper_ < 0) return;
  kill_group();
  life_.reset();  // the keeper kills (again), reaps and exits, in bounded time
  while (::waitpid(keeper_, nullptr, 0) < 0 && errno == EINTR) {
  }
  keeper_ = -1;
}

}  // namespace

Result<Finished> run(const Command& command, std::stop_token stop) {
  Run run(command, std::move(stop));
  FS_CHECK(run.start());
  return run.finish();
}

}  // namespace foreshadow::io
