#include "act/agent/epochs.hpp"

#include <fmt/format.h>

#include "act/agent/epoch_log.hpp"
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

using nlohmann::json;

constexpr int kFormat = 2;
// Of before: one object of JSON, replaced whole at each step.
constexpr int kObjectFormat = 1;
constexpr std::size_t kFileBytesMax = 64 << 20;
// Behind one entry for each resource: room for twenty handovers. Half of it is kept for those after which nobody rejoins.
constexpr std::size_t kRoomBytes = 1 << 20;

// Looking changes nothing, nor does preparing change who may write: neither needs an fsync.
bool only_reads(Step step) {
  return step == Step::prepare || step == Step::prove_equal || step == Step::check_fenced;
}

// These answers mean that the port refused before it touched anything.
bool nothing_was_done(Code code) {
  return code == Code::refused || code == Code::invalid || code == Code::conflict || code == Code::unreachable;
}

std::string entry(std::uint64_t sequence, const json& body) {
  return encode_entry(sequence, body.dump(-1, ' ', false, json::error_handler_t::replace));
}

Result<void> known(int format, int newest) {
  if (format > newest) return fail(Code::invalid, "written by a newer version; run that one");
  return {};
}

using Records = std::map<ResourceId, EpochRecord>;

// May throw what is wrong with the JSON.
Result<Records> decode_object(const std::string& file) {
  const auto j = json::parse(file);
  FS_CHECK(known(j.at("format").get<int>(), kObjectFormat));
  return j.at("resources").get<Records>();
}

// The first entry tells what the others are; of a resource the last one counts. May throw what is wrong with the JSON.
Result<Records> decode_log(const std::string& file) {
  FS_TRY(bodies, read_entries(file));
  const auto head = json::parse(bodies.front());
  FS_CHECK(known(head.at("format").get<int>(), kFormat));
  if (const auto bytes = head.at("bytes").get<std::size_t>(); bytes != file.size())
    return fail(Code::corrupt, fmt::format("{} bytes of {}", file.size(), bytes));
  Records records;
  for (auto body = bodies.begin() + 1; body != bodies.end(); ++body) {
    const auto j = json::parse(*body);
    records[j.at("resource").get<ResourceId>()] = j.at("record").get<EpochRecord>();
  }
  return records;
}

Result<Records> decode_book(const std::string& file) {
  try {
    const auto begin = file.find_first_not_of(" \t\r\n");
    return begin != std::string::npos && file[begin] == '{' ? decode_object(file) : decode_log(file);
  } catch (const json::exception& e) {
    return fail(Code::corrupt, e.what());
  }
}

}  // namespace

Result<std::unique_ptr<EpochBook>> EpochBook::open(std::string path) {
  std::unique_ptr<EpochBook> book(new EpochBook);
  book->path_ = std::move(path);
  auto text = io::read_file(book->path_, kFileBytesMax);
  if (!text) {
    if (text.error().code == Code::unreachable) return book;
    return tl::make_unexpected(text.error());
  }
  auto records = decode_book(*text);
  if (!records && records.error().code == Code::corrupt)
    return fail(Code::corrupt,
                fmt::format("{}: damaged ({}); nothing irreversible is done here until a person has seen "
                            "which instance is writable and has removed it",
                            book->path_, records.error().what));
  if (!records) return fail(records.error().code, book->path_ + ": " + records.error().what);
  book->records_ = std::move(*records);
  return book;
}

Result<void> EpochBook::prepare() {
  const std::lock_guard lock(mutex_);
  return make_anew(records_);
}

EpochRecord EpochBook::record(const ResourceId& resource) const {
  const std::lock_guard lock(mutex_);
  const auto it = records_.find(resource);
  return it == records_.end() ? EpochRecord{} : it->second;
}

Result<void> EpochBook::write(const ResourceId& resource, const EpochRecord& next, Step step) {
  auto all = records_;
  all[resource] = next;
  // A full log costs a second sync; nobody is parked while an old primary rejoins.
  const bool tidy = step == Step::rejoin && log_ && log_->size() - used_bytes_ < kRoomBytes / 2;
  const auto bytes = entry(entries_ + 1, {{"resource", resource}, {"record", next}});
  if (!tidy && log_ && bytes.size() <= log_->size() - used_bytes_ && log_->still_there())
    FS_CHECK(append(bytes));
  else
    FS_CHECK(make_anew(all));
  records_ = std::move(all);
  return {};
}

Result<void> EpochBook::append(const std::string& bytes) {
  if (auto written = log_->write(used_bytes_, bytes); !written) {
    // What was not acknowledged must not be found: the kernel may show it though the disk has not got it.
    (void)log_->write_behind(used_bytes_, std::string(bytes.size(), '\0'));
    log_.reset();
    return written;
  }
  ++entries_;
  used_bytes_ += bytes.size();
  return {};
}

Result<void> EpochBook::make_anew(const Records& records) {
  log_.reset();
  std::string entries;
  std::uint64_t count = 1;
  for (const auto& [resource, record] : records)
    entries += entry(++count, {{"resource", resource}, {"record", record}});
  const auto head = [](std::size_t bytes) { return entry(1, {{"format", kFormat}, {"bytes", bytes}}); };
  const auto used = head(0).size() + entries.size(), size = used + kRoomBytes;
  if (size > kFileBytesMax)
    return fail(Code::io, fmt::format("{}: {} bytes are more than it may hold", path_, entries.size()));
  auto file = head(size) + entries;
  file.resize(size, '\0');
  FS_TRY(log, io::FixedFile::make(path_, file));
  log_ = std::move(log);
  entries_ = count;
  used_bytes_ = used;
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
  FS_CHECK(write(who.resource, r, step));
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
  return write(who.resource, r, step);
}

}  // namespace foreshadow::act
