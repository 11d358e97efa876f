#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>

#include "app/commands.hpp"
#include "app/event_view.hpp"
#include "app/exit_codes.hpp"
#include "app/explain_view.hpp"
#include "app/output.hpp"
#include "app/place.hpp"
#include "app/record.hpp"
#include "app/replay.hpp"
#include "app/stop_signals.hpp"
#include "base/units.hpp"
#include "journal/reader.hpp"

namespace foreshadow::app {
namespace {

struct RecordOptions {
  PlaceOptions place;
  Output output = Output::table;
  std::string target;
  std::string since;
  bool failed = false;
  bool all = false;
  bool follow = false;
};

Result<journal::Reader> open_journal(const RecordOptions& options) {
  FS_TRY(place, find_place(options.place));
  return journal::Reader::open(place.journal_path());
}

class EventLister {
 public:
  explicit EventLister(const RecordOptions& options) : options_(options), terminal_(terminal()), printer_(terminal_) {}

  Result<void> list(journal::Reader& reader, journal::Filter filter) {
    if (!options_.target.empty()) filter.resource = options_.target;
    filter.after_seq = std::max(filter.after_seq, last_);
    auto read = reader.for_each(filter, [&](const journal::Record& record) {
      last_ = record.seq;
      if (options_.failed && !is_failure(record)) return true;
      if (options_.output == Output::json)
        fmt::print("{}\n", event_json(record).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
      else if (options_.all || !is_routine(record))
        fmt::print("{}", printer_.take(record));
      return std::ferror(stdout) == 0;
    });
    fmt::print("{}", printer_.flush());
    std::fflush(stdout);
    return read;
  }

 private:
  const RecordOptions& options_;
  Terminal terminal_;
  EventPrinter printer_;
  std::uint64_t last_ = 0;
};

int follow(EventLister& lister, journal::Reader& reader, const journal::Filter& filter) {
  StopSignals signals;
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  while (!signals.token().stop_requested()) {
    if (auto listed = lister.list(reader, filter); !listed) return tell(listed.error());
    wake.wait_for(lock, signals.token(), Millis{200}, [] { return false; });
  }
  return exit_ok;
}

int events(const RecordOptions& options) {
  journal::Filter filter;
  if (!options.since.empty()) {
    const auto since = parse_duration(options.since);
    if (!since) return tell({Code::invalid, "--since: " + since.error().what});
    filter.since = wall_now() - *since;
  }
  auto reader = open_journal(options);
  if (!reader) return tell(reader.error());
  EventLister lister(options);
  if (options.follow) return follow(lister, *reader, filter);
  const auto listed = lister.list(*reader, filter);
  return listed ? exit_ok : tell(listed.error());
}

int explain(const RecordOptions& options) {
  auto reader = open_journal(options);
  if (!reader) return tell(reader.error());
  const auto story = tell_story(*reader, options.target);
  if (!story) return tell(story.error());
  if (options.output == Output::json)
    fmt::print("{}\n", story_json(*story).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  else
    fmt::print("{}", story_text(*story, terminal()));
  return exit_ok;
}

int replay_file(const std::string& file) {
  auto reader = journal::Reader::open(file);
  if (!reader) return tell(reader.error());
  const auto report = replay(*reader);
  if (!report) return tell(report.error());
  for (const auto& difference : report->differences) fmt::print("{}\n", harmless(difference));
  if (!report->damage.empty()) fmt::print(stderr, "foreshadow: {}\n", report->damage);
  fmt::print("records {} to {}: {} events, {} decisions, {}\n", report->from_seq, report->to_seq, report->events,
             report->decisions,
             report->differences.empty() ? "all the same again" : fmt::format("{} differ", report->differences.size()));
  if (!report->damage.empty()) return exit_corrupt;
  return report->differences.empty() ? exit_ok : exit_failed;
}

}  // namespace

void add_record_commands(CLI::App& app, Job& job) {
  const auto options = std::make_shared<RecordOptions>();

  auto* list = app.add_subcommand("events", "What happened, from the journal");
  add_place(*list, options->place);
  add_output(*list, options->output);
  list->add_option("RESOURCE", options->target, "Only of this resource");
  list->add_option("--since", options->since, "Only the last DURATION (15m, 2h, 1d)")->type_name("DURATION");
  list->add_flag("--failed", options->failed, "Only failures");
  list->add_flag("-a,--all", options->all, "With every outlook and scrape (JSON always has them)");
  list->add_flag("-f,--follow", options->follow, "Go on as more happens");
  list->callback([options, &job] { job = [options] { return events(*options); }; });

  auto* why = app.add_subcommand("explain", "Why it acted: numbers, thresholds, guardrails, steps, outcome");
  add_place(*why, options->place);
  add_output(*why, options->output);
  why->add_option("WHAT", options->target,
                  "A resource, or an action's number as events shows it; the newest action otherwise");
  why->callback([options, &job] { job = [options] { return explain(*options); }; });

  auto* again = app.add_subcommand("replay", "Decide a journal's events again and compare");
  again->add_option("FILE", options->target, "journal.db of a state directory, or a copy")->required();
  again->callback([options, &job] { job = [options] { return replay_file(options->target); }; });
}

}  // namespace foreshadow::app
