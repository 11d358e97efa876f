#include "act/agent/epochs.hpp"

#include <fmt/format.h>

#include "domain/json.hpp"
#include "io/files.hpp"

namespace foreshadow::act {

FS_JSON_FIELDS(EpochRecord, epoch, term, fencing_epoch, fencing_instance, fenced_epoch, promoting_epoch, promoted_epoch,
               promoted_instance, step, result)

const char* to_string(Step step) {
  switch (step) {
    case Step::prepare:
      return "prepare";
    case Step::prove_equal:
      return "prove_equal";
    case Step::fence:
      return "fence";
    case Step::check_fenced:
      return "check_fenced";
    case Step::assess:
      return "assess";
    case Step::promote:
      return "promote";
    case Step::revive:
      return "revive";
    case Step::rejoin:
      return "rejoin";
  }
  return "unknown";
}

namespace {

constexpr int kFormat = 1;

// Looking changes nothing, nor does preparing change who may write: neither needs an fsync.
bool only_reads(Step step) {
  return step == Step::prepare || step == Step::prove_equal || step == Step::check_fenced;
}

// These answers mean that the port refused before it touched anything.
bool nothing_was_done(Code code) {
  return code == Code::refused || code == Code::invalid || code == Code::conflict || code == Code::unreachable;
}

}  // namespace

Result<std::unique_ptr<EpochBook>> EpochBook::open(std::string path) {
  std::unique_ptr<EpochBook> book(new EpochBook);
  book->path_ = std::move(path);
  auto text = io::read_file(book->path_, 16 << 20);
  if (!text) {
    if (text.error().code == Code::unreachable) return book;
    return tl::make_unexpected(text.error());
  }
  try {
    const auto j = nlohmann::json::parse(*text);
    if (j.at("format").get<int>() > kFormat)
      return fail(Code::invalid, book->path_ + ": written by a newer version; run that one");
    book->records_ = j.at("resources").get<std::map<ResourceId, EpochRecord>>();
  } catch (const nlohmann::json::exception& e) {
    return fail(Code::corrupt,
                fmt::format("{}: damaged ({}); nothing irreversible is done here until a person has seen "
                            "which instance is writable and has removed it",
                            book->path_, e.what()));
  }
  return book;
}

EpochRecord EpochBook::record(const ResourceId& resource) const {
  const std::lock_guard lock(mutex_);
  const auto it = records_.find(resource);
  return it == records_.end() ? EpochRecord{} : it->second;
}

Result<void> EpochBook::write(const ResourceId& resource, const EpochRecord& next) {
  auto all = records_;
  all[resource] = next;
  const nlohmann::json j{{"format", kFormat}, {"resources", all}};
  FS_CHECK(io::write_file_durably(path_, j.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n"));
  records_ = std::move(all);
  return {};
}

Result<Leave> EpochBook::begin(const Authority& who, Step step, const InstanceId& instance) {
  const std::lock_guard lock(mutex_);
  EpochRecord r;
  if (const auto it = records_.find(who.resource); it != records_.end()) r = it->second;
  if (who.term < r.term)
    return fail(Code::conflict,
                fmt::format("{} under term {} refused: term {} was obeyed here", to_string(step), who.term, r.term));
  if (who.epoch < r.epoch)
    return fail(Code::conflict, fmt::format("{} under epoch {} refused: epoch {} was obeyed here", to_string(step),
                                            who.epoch, r.epoch));
  if (only_reads(step)) return Leave::act;

  switch (step) {
    case Step::fence:
      // Past this step: whatever runs in that data directory now is a standby of the new primary.
      if (r.promoting_epoch >= who.epoch) return Leave::done;
      r.fencing_epoch = who.epoch;
      r.fencing_instance = instance;
      r.fenced_epoch = 0;
      break;
    case Step::assess:
      if (r.promoting_epoch >= who.epoch)
        return fail(Code::conflict, fmt::format("nothing is brought over under epoch {}: a promotion was begun", who.epoch));
      if (r.fenced_epoch != who.epoch)
        return fail(Code::refused, fmt::format("nothing is brought over under epoch {}: no fence is proven under it",
                                               who.epoch));
      break;
    case Step::promote:
      if (r.promoted_epoch >= who.epoch && r.promoted_instance != instance)
        return fail(Code::conflict, fmt::format("epoch {} belongs to {}", who.epoch, r.promoted_instance));
      if (r.fenced_epoch != who.epoch)
        return fail(Code::refused,
                    fmt::format("promotion under epoch {} refused: no fence is proven under it", who.epoch));
      if (r.fencing_instance == instance)
        return fail(Code::refused, fmt::format("promotion refused: {} is the instance that was fenced", instance));
      if (r.promoting_epoch < who.epoch) own_promotion_[who.resource] = who.epoch;
      r.promoting_epoch = who.epoch;
      break;
    case Step::revive:
      if (r.promoting_epoch >= who.epoch)
        return fail(Code::refused,
                    fmt::format("{} is not revived: a promotion under epoch {} was begun, so its shadow may "
                                "hold newer writes",
                                instance, r.promoting_epoch));
      if (r.fencing_epoch != who.epoch || r.fencing_instance != instance) return Leave::only_look;
      // Before the old primary starts: from here on this epoch promotes nobody unless it fences again.
      r.fenced_epoch = 0;
      break;
    case Step::rejoin:
      if (r.promoted_epoch == 0 || r.promoted_epoch < r.fencing_epoch)
        return fail(Code::refused,
                    fmt::format("{} does not rejoin: no promotion is recorded after its fence", instance));
      if (r.promoted_instance == instance)
        return fail(Code::refused,
                    fmt::format("{} does not rejoin: it is the primary of epoch {}", instance, r.promoted_epoch));
      break;
    case Step::prepare:
    case Step::prove_equal:
    case Step::check_fenced:
      break;
  }
  r.epoch = who.epoch;
  r.term = who.term;
  r.step = to_string(step);
  r.result = "started";
  FS_CHECK(write(who.resource, r));
  return Leave::act;
}

Result<void> EpochBook::end(const Authority& who, Step step, const InstanceId& instance,
                            const Result<std::string>& result) {
  if (only_reads(step)) return {};
  const std::lock_guard lock(mutex_);
  EpochRecord r = records_[who.resource];
  if (step == Step::fence && result) r.fenced_epoch = who.epoch;
  if (step == Step::promote) {
    const bool own = own_promotion_[who.resource] == who.epoch;
    if (result) {
      r.promoted_epoch = who.epoch;
      r.promoted_instance = instance;
      // Should this not reach the disk, the book says "may have happened", and no later attempt may take that back.
      own_promotion_.erase(who.resource);
    } else if (!nothing_was_done(result.error().code)) {
      // It may have happened: no later attempt that did nothing can take that back.
      own_promotion_.erase(who.resource);
    } else if (own) {
      // An earlier agent's attempt under this epoch may have gone further; only our own is known to have done nothing.
      r.promoting_epoch = r.promoted_epoch;
    }
  }
  r.step = to_string(step);
  r.result = result ? *result : std::string(foreshadow::to_string(result.error().code)) + ": " + result.error().what;
  return write(who.resource, r);
}

}  // namespace foreshadow::act
