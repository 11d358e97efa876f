// Who may write the journal: one controller on this host, told by flock(2) on `<journal>.lock`, which the kernel
// releases however its holder dies. The file also keeps the highest term ever begun here, so that terms go on rising
// when a damaged journal is moved away: gateways and agents refuse a term lower than they have seen.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"

namespace foreshadow::journal {

class Lock {
 public:
  // conflict: another controller holds it, with its pid.
  static Result<Lock> take(const std::string& path);
  Lock(Lock&& other) noexcept;
  Lock& operator=(Lock&& other) noexcept;
  ~Lock();

  // 0 if none was ever begun, or the file was lost.
  std::uint64_t term() const { return term_; }
  // Durable on return.
  Result<void> begin_term(std::uint64_t term);

 private:
  Lock(int fd, std::string path, std::uint64_t term) : fd_(fd), path_(std::move(path)), term_(term) {}
  int fd_ = -1;
  std::string path_;
  std::uint64_t term_ = 0;
};

}  // namespace foreshadow::journal
