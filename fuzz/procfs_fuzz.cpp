// Any bytes as a file of /proc or a control group: nothing, or values within their bounds.
#include <cstdint>
#include <string_view>

#include "base/assert.hpp"
#include "observe/procfs.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace foreshadow::observe;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto stat = parse_proc_stat(text)) FS_ASSERT(stat->pid > 0 && stat->ppid >= 0);
  if (const auto memory = parse_proc_status(text)) FS_ASSERT(memory->total_bytes % 1024 == 0);
  (void)parse_proc_io(text);
  (void)parse_open_files_max(text);
  if (const auto pid = parse_pid(text)) FS_ASSERT(*pid > 0);
  for (const int pid : parse_pids(text)) FS_ASSERT(pid > 0);
  (void)parse_number(text);
  (void)find_number(text, "oom_kill");
  return 0;
}
