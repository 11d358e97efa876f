#include "journal/memory_journal.hpp"

#include <utility>

namespace foreshadow::journal {

void MemoryDisk::crash() {
  let_go();
  failure_.reset();
}

void MemoryDisk::let_go() {
  while (!records_.empty() && records_.back().seq > durable_seq_) records_.pop_back();
  last_seq_ = durable_seq_;
  images_.erase(images_.upper_bound(durable_seq_), images_.end());
  held_ = false;
}

void MemoryDisk::prune(Time now) {
  std::vector<ImageMark> marks;
  for (const auto& [seq, image] : images_) marks.push_back({seq, image.at});
  if (const auto image = thin_out(retention_, marks)) {
    images_.erase(*image);
    std::erase_if(marks, [&](const ImageMark& mark) { return mark.seq == *image; });
  }
  const auto keep = keep_from(retention_, marks, last_seq_, now);
  if (!keep) return;
  std::erase_if(records_, [&](const MemoryRecord& record) { return record.seq < *keep; });
  images_.erase(images_.begin(), images_.lower_bound(*keep));
}

MemoryJournal::~MemoryJournal() {
  if (!holds()) return;
  if (!broken_ && !disk_.failure_) disk_.durable_seq_ = disk_.last_seq_;
  disk_.let_go();
}

Result<Recovery> MemoryJournal::open() {
  if (disk_.held_) return fail(Code::conflict, "another controller holds this journal");
  if (disk_.failure_) return fail(Code::io, *disk_.failure_);
  disk_.held_ = true;
  session_ = ++disk_.session_;
  if (disk_.damaged_seq_) {
    broken_ = Error{Code::corrupt, "record " + std::to_string(*disk_.damaged_seq_) + " does not match its checksum"};
    return tl::make_unexpected(*broken_);
  }
  Recovery recovery{.term = ++disk_.term_, .last_seq = disk_.last_seq_};
  if (!disk_.images_.empty()) {
    recovery.snapshot_seq = disk_.images_.rbegin()->first;
    recovery.snapshot = disk_.images_.rbegin()->second.image;
  }
  for (const auto& record : disk_.records_) {
    recovery.last_at = record.at;
    const auto* event = std::get_if<Event>(&record.what);
    if (event && record.seq > recovery.snapshot_seq) recovery.events.push_back(*event);
  }
  return recovery;
}

Result<void> MemoryJournal::usable() {
  if (!broken_ && !holds()) return fail(Code::io, "the journal is not open");
  // Only what must reach the disk can find that it fails.
  if (broken_) return tl::make_unexpected(*broken_);
  return {};
}

Result<void> MemoryJournal::make_durable() {
  if (disk_.failure_) {
    broken_ = Error{Code::io, *disk_.failure_};
    return tl::make_unexpected(*broken_);
  }
  disk_.durable_seq_ = disk_.last_seq_;
  return {};
}

Result<std::uint64_t> MemoryJournal::write(MemoryRecord record, bool durable) {
  FS_CHECK(usable());
  record.seq = ++disk_.last_seq_;
  const auto seq = record.seq;
  disk_.records_.push_back(std::move(record));
  if (durable) FS_CHECK(make_durable());
  return seq;
}

Result<std::uint64_t> MemoryJournal::append(const Event& event, bool durable) {
  return write({.at = event.at, .what = event}, durable);
}

Result<std::uint64_t> MemoryJournal::intend(const Effect& effect, Time at, bool durable) {
  return write({.at = at, .what = effect}, durable);
}

Result<void> MemoryJournal::snapshot(Time at, const std::string& image) {
  FS_TRY(seq, write({.at = at, .what = MemoryRecord::Snapshot{}}, false));
  disk_.images_[seq] = {at, image};
  FS_CHECK(make_durable());
  disk_.prune(at);
  return {};
}

Result<void> MemoryJournal::flush() {
  FS_CHECK(usable());
  return make_durable();
}

}  // namespace foreshadow::journal
