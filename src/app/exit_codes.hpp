// What each exit code of `foreshadow` means to a script; docs/cli.md has the table. A number is never reused.
#pragma once

#include "base/result.hpp"

namespace foreshadow::app {

enum Exit : int {
  exit_ok = 0,
  exit_failed = 1,       // it was tried and did not work
  exit_usage = 2,        // the command line or the configuration is wrong
  exit_unreachable = 3,  // nobody there: nothing was done
  exit_refused = 4,      // a guardrail, or the state of things, says no
  exit_conflict = 5,     // somebody else holds it, or something newer exists
  exit_timeout = 6,      // no answer in time: it may or may not have happened
  exit_corrupt = 7,      // stored bytes are damaged
};

inline int exit_of(const Error& error) {
  switch (error.code) {
    case Code::timeout:
      return exit_timeout;
    case Code::unreachable:
      return exit_unreachable;
    case Code::refused:
      return exit_refused;
    case Code::invalid:
      return exit_usage;
    case Code::conflict:
      return exit_conflict;
    case Code::cancelled:
      return exit_failed;
    case Code::corrupt:
      return exit_corrupt;
    case Code::io:
      return exit_failed;
  }
  return exit_failed;
}

// Tells the error on standard error, after "foreshadow: ", and gives its exit code.
int tell(const Error& error);

}  // namespace foreshadow::app
