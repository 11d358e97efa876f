#include "app/replay.hpp"

#include <fmt/format.h>

#include <deque>

#include "app/record.hpp"
#include "decide/step.hpp"
#include "domain/json.hpp"

namespace foreshadow::app {
namespace {

using journal::Record;

constexpr std::size_t kDifferencesMax = 20;

class Replayer {
 public:
  explicit Replayer(StateAt start) : state_(std::move(start.state)) { report_.from_seq = start.seq + 1; }

  bool take(const Record& record) {
    report_.to_seq = record.seq;
    if (record.type == Record::Type::intent) return take_intent(record);
    if (record.type != Record::Type::event) return true;
    const auto event = decode<Event>(std::string_view(record.body));
    if (!event) {
      report_.damage = fmt::format("record {} cannot be read: {}", record.seq, event.error().what);
      return false;
    }
    // A process that died between an event and its intents leaves them out, and the next record is a new term.
    if (!std::holds_alternative<Started>(event->body))
      for (const auto& effect : expected_)
        differ(record.seq, fmt::format("decided now, not then: #{} {}", effect.id, name_of(effect.body)));
    auto next = decide::step(std::move(state_), *event);
    state_ = std::move(next.state);
    expected_.assign(next.effects.begin(), next.effects.end());
    ++report_.events;
    return report_.differences.size() < kDifferencesMax;
  }

  ReplayReport finish() { return std::move(report_); }

 private:
  bool take_intent(const Record& record) {
    ++report_.decisions;
    if (expected_.empty()) {
      differ(record.seq, fmt::format("decided then, not now: {}", record.name));
    } else {
      const auto now = encode(expected_.front());
      if (now != record.body)
        differ(record.seq, fmt::format("then {}, now {}", record.body.substr(0, 300), now.substr(0, 300)));
      expected_.pop_front();
    }
    return report_.differences.size() < kDifferencesMax;
  }
  void differ(std::uint64_t seq, const std::string& what) {
    if (report_.differences.size() < kDifferencesMax)
      report_.differences.push_back(fmt::format("record {}: {}", seq, what));
  }

  decide::State state_;
  std::deque<Effect> expected_;
  ReplayReport report_;
};

}  // namespace

Result<ReplayReport> replay(journal::Reader& reader) {
  FS_TRY(summary, reader.summary());
  // From the very beginning where that is still there, else from the image that pruning left as the first record.
  StateAt start;
  if (summary.first_seq > 1) {
    FS_TRY(from_image, state_at(reader, summary.first_seq));
    start = std::move(from_image);
  }
  const auto after = start.seq;
  Replayer replayer(std::move(start));
  const auto read = reader.for_each({.after_seq = after}, [&](const Record& record) { return replayer.take(record); });
  if (!read && read.error().code != Code::corrupt) return tl::make_unexpected(read.error());
  auto report = replayer.finish();
  if (!read) report.damage = read.error().what;
  return report;
}

}  // namespace foreshadow::app
