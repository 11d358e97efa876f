// What the kernel says about one process, or about a process and its descendants: memory, CPU, descriptors, threads,
// I/O. It finds the process anew at every scrape through the instance's pid file, so a restart is seen at once, and it
// never takes another process that inherited the number for the one it knew (start times are compared; proc(5)).
#pragma once

#include <memory>
#include <string>

#include "domain/resource.hpp"
#include "observe/source.hpp"

namespace foreshadow::observe {

struct ProcessOptions {
  // Sum the process and all its descendants: a PostgreSQL cluster is its postmaster and the backends it forked.
  // Resident memory is then every process's private pages plus the largest share of file and shared memory that any one
  // of them maps: a shared buffer pool is one pool, however many backends map it.
  bool tree = false;
  std::string proc_root = "/proc";
};

// Signals: process_up, process_resident_memory_bytes, process_cpu_seconds_rate (cores), process_open_fds,
// process_open_fds_max, process_threads, process_read_bytes_rate, process_write_bytes_rate (bytes/s; reached the disk).
//
// process_up is 1 when the pid file names a live process, 0 when the process it names is gone (also a zombie, or the
// number now belongs to another process), and absent when there is no pid file or it cannot be read: unknown.
// The process id comes from the first line of `instance.pid_file`, else from attribute "pid". With neither: every
// scrape is an error that says so. Descriptors and I/O of another user's process need privilege; without it they are
// absent. Rates appear from the second scrape of the same process on.
std::unique_ptr<Source> process_source(const Instance& instance, ProcessOptions options = {});

}  // namespace foreshadow::observe
