#include "shop/fault.hpp"

#include <malloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace shop {

bool limit_memory(std::size_t bytes, std::string& why) {
  // One arena: each further one would count 64 MiB of reserve against the limit.
  mallopt(M_ARENA_MAX, 1);
  const rlimit limit{bytes, bytes};
  if (setrlimit(RLIMIT_DATA, &limit) == 0) return true;
  why = std::strerror(errno);
  return false;
}

void leak(std::size_t bytes) {
  if (bytes == 0) return;
  // Straight from the kernel: malloc's own failure paths must not get a chance to answer politely.
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) kill(getpid(), SIGKILL);
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  auto* bytes_at = static_cast<volatile char*>(memory);
  for (std::size_t i = 0; i < bytes; i += page) bytes_at[i] = 1;
}

}  // namespace shop
