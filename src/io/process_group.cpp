#include "io/process_group.hpp"

#include <dirent.h>
#include <fcntl.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "io/fd.hpp"
#include "io/wait.hpp"

namespace foreshadow::io {
namespace {

// "pid (name) state ppid pgrp ...": the name may hold anything, also ')' and spaces, so we start at the last ')'.
bool lives_in(const std::string& stat, pid_t group) {
  const auto end_of_name = stat.rfind(')');
  if (end_of_name == std::string::npos) return false;
  char state = 0;
  int parent = 0, its_group = 0;
  if (std::sscanf(stat.c_str() + end_of_name + 1, " %c %d %d", &state, &parent, &its_group) != 3) return false;
  return its_group == group && state != 'Z' && state != 'X';
}

}  // namespace

Result<int> living_members(pid_t group) {
  const auto close = [](DIR* dir) { ::closedir(dir); };
  std::unique_ptr<DIR, decltype(close)> proc(::opendir("/proc"));
  if (!proc) return fail(Code::io, errno_text("/proc"));
  int count = 0;
  while (const dirent* entry = ::readdir(proc.get())) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    Fd file(::open(("/proc/" + std::string(entry->d_name) + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) continue;  // it ended meanwhile
    char text[512];
    const auto n = ::read(file.get(), text, sizeof text);
    if (n > 0 && lives_in(std::string(text, static_cast<std::size_t>(n)), group)) ++count;
  }
  return count;
}

}  // namespace foreshadow::io
