// The port for moving who may write. Each step asks the world what is true before it acts, and is safe to repeat.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "domain/effect.hpp"
#include "domain/resource.hpp"

namespace foreshadow::act {

// Who asks, and for which epoch; compared on the target host under a lock, so that a stale controller is refused.
struct Authority {
  ResourceId resource;
  std::uint64_t term = 0;
  std::uint64_t epoch = 0;
};

// What a step found: `text` for people and the journal, `facts` for those who serve after it.
struct Finding {
  std::string text;
  Facts facts{};
};

// Blocking; called from an effect's own thread. Every string returned is for people and the journal.
class Promoter {
 public:
  virtual ~Promoter() = default;
  // Before anybody waits: does what would otherwise be done while clients are parked, and leaves nothing that has to be
  // undone. Error refused: what speaks against this handover; any other: unprepared, which only makes it slower.
  virtual Result<std::string> prepare(const Authority& who, const Instance& primary, const Instance& shadow,
                                      std::stop_token stop) = 0;
  // Requires: every gateway holds. Returns the proof that the shadow has all the primary acknowledged (an LSN).
  virtual Result<std::string> prove_equal(const Authority& who, const Instance& primary, const Instance& shadow,
                                          std::stop_token stop) = 0;
  // Requires: every gateway sealed. After success no process of the old primary remains, proven.
  virtual Result<std::string> fence(const Authority& who, const Instance& primary, const Instance& shadow,
                                    std::stop_token stop) = 0;
  // Requires: fenced. Error conflict: somebody beside the gateways committed past `proof`. Other errors: unreadable.
  // The facts are the shadow's, at a moment when nobody can write.
  virtual Result<Finding> check_fenced(const Authority& who, const Instance& primary, const Instance& shadow,
                                           const std::string& proof, std::stop_token stop) = 0;
  // Requires: fenced, and nothing proven before. Brings over from the old disk what the shadow lacks, and says what of it
  // cannot be had. Error refused: that is, or may be, more than `loss_max_bytes`.
  virtual Result<Finding> assess(const Authority& who, const Instance& primary, const Instance& shadow,
                                 std::uint64_t loss_max_bytes, std::stop_token stop) = 0;
  // Requires: the old primary is fenced. After an error the answer is unknown: ask writable() before going on.
  virtual Result<std::string> promote(const Authority& who, const Instance& shadow, std::stop_token stop) = 0;
  // A real write over a fresh connection, taken back. Errors unreachable and timeout: the instance did not answer. Others:
  // nobody could ask it.
  virtual Result<bool> writable(const Instance& instance, std::stop_token stop) = 0;
  // Starts a fenced old primary again as primary; refused if the shadow was promoted in this or a later epoch.
  virtual Result<std::string> revive(const Authority& who, const Instance& primary, std::stop_token stop) = 0;
  // Makes the old primary follow the new one (never synchronous, never a candidate, no unbounded slot).
  virtual Result<std::string> rejoin(const Authority& who, const Instance& old_primary, const Instance& primary,
                                     std::stop_token stop) = 0;
};

}  // namespace foreshadow::act
