// What an agent remembers of who may act on its host: the highest term and epoch it has obeyed, and how far the
// irreversible steps of an epoch have come. On disk before each step and after it, so that neither a stale controller
// nor a killed agent can make two writers.
//
// Never decides anything but "may this step start": whether it is wise was decided elsewhere.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "act/promote/promoter.hpp"
#include "base/result.hpp"

namespace foreshadow::act {

struct EpochRecord {
  std::uint64_t epoch = 0;  // highest obeyed
  std::uint64_t term = 0;   // highest obeyed
  // A fence was begun under this epoch, of this instance.
  std::uint64_t fencing_epoch = 0;
  InstanceId fencing_instance;
  // It was proven under this epoch and has not been let go since; 0: no.
  std::uint64_t fenced_epoch = 0;
  // Written before a promotion starts, so it says "may have happened"; promoted_epoch says "did".
  std::uint64_t promoting_epoch = 0;
  std::uint64_t promoted_epoch = 0;
  InstanceId promoted_instance;
  // For people: the last step, and "started", its detail, or its error.
  std::string step;
  std::string result;
  friend bool operator==(const EpochRecord&, const EpochRecord&) = default;
};

enum class Step { prepare, prove_equal, fence, check_fenced, assess, promote, revive, rejoin };
const char* to_string(Step step);

// What begin() allows. `done`: this epoch is past the step, so there is nothing to do. `only_look`: nothing may be
// changed, but the answer can be had by looking at the world (a revive of what was never fenced).
enum class Leave { act, done, only_look };

// Thread-safe. One owner per file: the desk's lock sees to that.
class EpochBook {
 public:
  // A missing file is an empty book. corrupt: it is damaged, and a person must look, because an empty book would obey
  // anybody.
  static Result<std::unique_ptr<EpochBook>> open(std::string path);

  EpochRecord record(const ResourceId& resource) const;
  // Compares, and for a step that changes the world writes the intent durably. `instance` is the one the step acts on.
  // Errors: conflict (a lower epoch or term than obeyed before), refused (this step may not start, and why), io (the
  // intent is not on disk, so the step must not start).
  Result<Leave> begin(const Authority& who, Step step, const InstanceId& instance);
  // Records how a step that had leave to act has ended. io: the world has changed and the book does not say so; a
  // repetition of the step mends it.
  Result<void> end(const Authority& who, Step step, const InstanceId& instance, const Result<std::string>& result);

 private:
  EpochBook() = default;
  Result<void> write(const ResourceId& resource, const EpochRecord& next);

  std::string path_;
  mutable std::mutex mutex_;
  std::map<ResourceId, EpochRecord> records_;
  // Promotions begun by this process, not found in the book: only those may be taken back as "nothing was done".
  std::map<ResourceId, std::uint64_t> own_promotion_;
};

}  // namespace foreshadow::act
