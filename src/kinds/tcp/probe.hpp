// Is an instance there? One fresh connection, as a client would make it.
//
// A connection alone proves little: the kernel accepts for a process that is stopped or hangs, until its queue is full.
// With `probe_expect` the process itself has to answer.
#pragma once

#include <memory>
#include <stop_token>

#include "kinds/tcp/options.hpp"
#include "observe/source.hpp"

namespace foreshadow::kinds::tcp {

// How long it took. Blocks for at most options.probe_timeout. Errors: unreachable (nobody listens, or it closed before
// it had answered), refused (it answered something else), timeout, cancelled, io.
Result<Millis> probe(const Instance& instance, const TcpOptions& options, std::stop_token stop);
// Signals: probe_up, probe_duration_seconds.
std::unique_ptr<observe::Source> probe_source(Instance instance, TcpOptions options);

}  // namespace foreshadow::kinds::tcp
