#include "app/explain.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "app/record.hpp"
#include "decide/step.hpp"
#include "domain/json.hpp"

namespace foreshadow::app {
namespace {

using journal::Record;

// Where an action's records are: from the intent that began it to the one that began the next, or the end.
struct Span {
  ResourceId resource;
  std::uint64_t from = 0;
  std::uint64_t to = kNewest;  // exclusive
};

// An episode begins with a provision, or with the first hold after an earlier one had ended.
bool begins_episode(const Record& record) { return record.name == "provision"; }

std::optional<EffectId> as_number(const std::string& target) {
  EffectId id = 0;
  const auto* end = target.data() + target.size();
  const auto [rest, error] = std::from_chars(target.data(), end, id);
  return error == std::errc{} && rest == end ? std::optional(id) : std::nullopt;
}

// Steers that only repeat a table are no action by themselves.
bool is_action(const Record& record) {
  return record.type == Record::Type::intent && record.name != "page" && record.name != "steer";
}

// The episode that holds the wanted intent: the newest of the resource (or of all), or the one with the effect's
// number.
Result<std::optional<Span>> find_span(journal::Reader& reader, const std::string& target) {
  const auto number = as_number(target);
  std::map<ResourceId, Span> open;
  std::optional<Span> found;
  const auto read = reader.for_each({.type = Record::Type::intent}, [&](const Record& record) {
    if (!number && !target.empty() && record.resource != target) return true;
    auto& span = open[record.resource];
    if (span.from == 0 || begins_episode(record)) {
      if (found && found->resource == record.resource && found->to == kNewest) found->to = record.seq;
      span = {record.resource, record.seq, kNewest};
    }
    const auto effect = number ? decode<Effect>(std::string_view(record.body)) : Result<Effect>(Effect{});
    const bool wanted = number ? effect && effect->id == *number : is_action(record);
    if (wanted) found = span;
    return true;
  });
  // Up to the damage the record is whole, and still worth telling.
  if (!read && read.error().code != Code::corrupt) return tl::make_unexpected(read.error());
  return found;
}

std::optional<std::string> question_of(const EffectBody& body) {
  if (std::holds_alternative<Provision>(body)) return "a shadow";
  if (const auto* hold = std::get_if<Hold>(&body)) return hold->abandon ? "the failover" : "the handover";
  return std::nullopt;
}

class Teller {
 public:
  Teller(Span span, decide::State state) : span_(std::move(span)), state_(std::move(state)) {
    story_.resource = span_.resource;
  }

  bool take(const Record& record) {
    // Results come after the end of the last step; only a later episode's own intents are not ours.
    const bool ours = record.resource == span_.resource && record.seq >= span_.from;
    if (record.type == Record::Type::intent) {
      if (ours && record.seq < span_.to) take_intent(record);
      return record.seq < span_.to || !complete();
    }
    if (record.type != Record::Type::event) return true;
    const auto event = decode<Event>(std::string_view(record.body));
    if (!event) return false;
    if (record.seq < span_.to) state_ = decide::step(std::move(state_), *event).state;
    if (ours || std::holds_alternative<Command>(event->body)) take_event(*event, record.seq);
    return record.seq < span_.to || !complete();
  }
  Story finish() { return std::move(story_); }

 private:
  bool complete() const {
    return std::all_of(story_.steps.begin(), story_.steps.end(), [](const Step& s) { return s.done.has_value(); });
  }

  void take_intent(const Record& record) {
    auto effect = decode<Effect>(std::string_view(record.body));
    if (!effect) return;
    // The same effect again, after a crash: one step, told once.
    for (const auto& step : story_.steps)
      if (step.effect.id == effect->id) return;
    const auto question = question_of(effect->body);
    const bool asked = question && std::any_of(story_.decisions.begin(), story_.decisions.end(),
                                               [&](const Decision& d) { return d.question == *question; });
    // A hold that is tried again is the same decision.
    if (question && !asked)
      if (const auto l = state_.resources.find(span_.resource); l != state_.resources.end())
        story_.decisions.push_back({*question, record.at, effect->why, l->second, state_.paused, state_.frozen_why});
    story_.steps.push_back({record.seq, record.at, std::move(*effect), std::nullopt, {}});
  }

  void take_event(const Event& event, std::uint64_t seq) {
    if (const auto* done = std::get_if<EffectDone>(&event.body)) {
      for (auto& step : story_.steps)
        if (step.effect.id == done->id && !step.done) {
          step.done = *done;
          step.done_at = event.at;
        }
    }
    if (seq >= span_.to || seq < span_.from) return;
    if (const auto* command = std::get_if<Command>(&event.body);
        command && (event.resource == span_.resource || event.resource.empty()))
      story_.commands.emplace_back(event.at, *command);
    if (const auto* evidence = std::get_if<Evidence>(&event.body))
      for (const auto& felt : evidence->holds) take_hold(felt);
    if (const auto* outcome = std::get_if<OutcomeRecorded>(&event.body)) story_.outcome = outcome->outcome;
    if (const auto* tuned = std::get_if<Tuned>(&event.body)) story_.tuning = tuned->tuning;
  }

  // A controller that comes back tells again of what it finds.
  void take_hold(const HoldFelt& felt) {
    const bool ours = std::ranges::any_of(story_.steps, [&](const Step& step) {
      const auto* hold = std::get_if<Hold>(&step.effect.body);
      return hold && hold->next_epoch == felt.waits.next_epoch;
    });
    if (ours && std::ranges::find(story_.holds, felt) == story_.holds.end()) story_.holds.push_back(felt);
  }

  Span span_;
  decide::State state_;
  Story story_;
};

Result<Story> story_of_nothing(journal::Reader& reader, const std::string& target) {
  if (as_number(target))
    return fail(Code::invalid, fmt::format("no action #{} in the journal; it may have been pruned", target));
  FS_TRY(newest, state_at(reader));
  if (!target.empty() && !newest.state.resources.contains(target)) {
    std::vector<std::string> names;
    for (const auto& [id, lifecycle] : newest.state.resources) names.push_back(id);
    return fail(Code::invalid,
                fmt::format("no resource or action '{}'; resources: {}", target, fmt::join(names, ", ")));
  }
  Story story{.resource = target};
  for (const auto& [id, lifecycle] : newest.state.resources)
    if (target.empty() || id == target)
      for (auto& line : decide::explain_now(newest.state, id)) story.now.push_back(std::move(line));
  return story;
}

}  // namespace

Result<Story> tell_story(journal::Reader& reader, const std::string& target) {
  FS_TRY(span, find_span(reader, target));
  if (!span) return story_of_nothing(reader, target);
  // The event that caused the first intent stands just before it, so the state from before that event is wanted.
  FS_TRY(image, reader.image_before(span->from - 1));
  const auto before = image ? image->seq : 0;
  FS_TRY(start, state_at(reader, before));
  Teller teller(*span, std::move(start.state));
  const auto read = reader.for_each({.after_seq = before}, [&](const Record& record) { return teller.take(record); });
  if (!read && read.error().code != Code::corrupt) return tl::make_unexpected(read.error());
  return teller.finish();
}

}  // namespace foreshadow::app
