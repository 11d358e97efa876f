// Failure as a value. Exceptions stop at the edge: adapters around YAML, SQL and JSON libraries catch and convert.
// A Code exists only when some caller acts on it; everything else is told in `what`, which a person reads.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace foreshadow {

enum class Code {
  timeout,      // the deadline passed; what was asked may or may not have happened
  unreachable,  // nobody there: nothing was done
  refused,      // somebody there said no, and why is in `what`
  invalid,      // the input is wrong; asking again changes nothing
  conflict,     // a newer version, epoch or term exists; re-read the world first
  cancelled,    // we were told to stop
  corrupt,      // stored bytes are damaged: no automatic action may rest on them
  io,           // the operating system failed us
};

struct Error {
  Code code = Code::invalid;
  std::string what;
  friend bool operator==(const Error&, const Error&) = default;
};

template <class T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(Code code, std::string what) { return tl::make_unexpected(Error{code, std::move(what)}); }

const char* to_string(Code code);

}  // namespace foreshadow

// FS_TRY(name, expr): declares `name` with the value, or returns the error. FS_CHECK(expr): the same for Result<void>.
#define FS_CONCAT_(a, b) a##b
#define FS_CONCAT(a, b) FS_CONCAT_(a, b)
#define FS_TRY(name, expr)                                                                     \
  auto FS_CONCAT(fs_result_, __LINE__) = (expr);                                               \
  if (!FS_CONCAT(fs_result_, __LINE__))                                                        \
    return ::tl::make_unexpected(std::move(FS_CONCAT(fs_result_, __LINE__)).error());          \
  auto name = std::move(*FS_CONCAT(fs_result_, __LINE__))
#define FS_CHECK(expr)                                                                         \
  do {                                                                                         \
    if (auto fs_result_ = (expr); !fs_result_)                                                 \
      return ::tl::make_unexpected(std::move(fs_result_).error());                             \
  } while (false)
// The same inside a coroutine.
#define FS_CO_TRY(name, expr)                                                                  \
  auto FS_CONCAT(fs_result_, __LINE__) = (expr);                                               \
  if (!FS_CONCAT(fs_result_, __LINE__))                                                        \
    co_return ::tl::make_unexpected(std::move(FS_CONCAT(fs_result_, __LINE__)).error());       \
  auto name = std::move(*FS_CONCAT(fs_result_, __LINE__))
