#include "kinds/postgres/preflight.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <utility>

#include "base/units.hpp"

namespace foreshadow::kinds::postgres {
namespace {

std::string setting(const ServerFacts& server, const char* name) {
  const auto it = server.settings.find(name);
  return it == server.settings.end() ? "" : it->second;
}

std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 5;
  std::string out;
  for (std::size_t i = 0; i < std::min(names.size(), kShown); ++i) out += (i > 0 ? ", " : "") + names[i];
  if (names.size() > kShown) out += fmt::format(" and {} more", names.size() - kShown);
  return out;
}

class Judge {
 public:
  Judge(const PreflightFacts& facts, const PgSettings& settings) : f_(facts), settings_(settings) {}

  std::vector<Finding> all() {
    identity();
    shadow_can_serve();
    what_would_be_lost();
    who_else();
    room();
    afterwards();
    std::vector<Finding> sorted;
    for (const auto weight : {Weight::refuse, Weight::warn})
      std::copy_if(out_.begin(), out_.end(), std::back_inserter(sorted),
                   [&](const Finding& finding) { return finding.weight == weight; });
    return sorted;
  }

 private:
  template <class... Args>
  void refuse(fmt::format_string<Args...> text, Args&&... args) {
    out_.push_back({Weight::refuse, fmt::format(text, std::forward<Args>(args)...)});
  }
  template <class... Args>
  void warn(fmt::format_string<Args...> text, Args&&... args) {
    out_.push_back({Weight::warn, fmt::format(text, std::forward<Args>(args)...)});
  }

  void identity() {
    const auto& p = f_.primary;
    const auto& s = f_.shadow;
    if (p.system_identifier != s.system_identifier)
      refuse("{} is no copy of {}: their system identifiers differ", s.id, p.id);
    if (p.in_recovery) refuse("{} is in recovery: it is not the primary", p.id);
    if (!s.in_recovery) refuse("{} is not in recovery: it takes writes itself", s.id);
    for (const auto* server : {&p, &s}) {
      if (!server->own_directory)
        warn("whether the server of {} runs in the data_dir given for it could not be seen; grant pg_read_all_settings",
             server->id);
      else if (!*server->own_directory)
        refuse("the server at the address of {} does not run in the data_dir given for it: a fence would miss it",
               server->id);
    }
    if (p.version / 10'000 != s.version / 10'000)
      refuse("{} is of PostgreSQL {}, {} of {}", p.id, p.version / 10'000, s.id, s.version / 10'000);
    else if (p.version != s.version)
      warn("{} is of version {}.{}, {} of {}.{}", p.id, p.version / 10'000, p.version % 10'000, s.id,
           s.version / 10'000, s.version % 10'000);
    for (const auto& rival : f_.rivals)
      refuse("no promotion: {} is in charge of this cluster; hand over with its own switchover", rival);
    // Two clusters in one place: a promotion would write where the other one's data lie.
    for (const auto& [name, place] : p.tablespaces)
      if (const auto it = s.tablespaces.find(name); it != s.tablespaces.end() && it->second == place)
        refuse("tablespace {} of {} and {} is the same directory, {}", name, p.id, s.id, place);
  }

  void shadow_can_serve() {
    const auto& p = f_.primary;
    const auto& s = f_.shadow;
    if (!f_.may_promote)
      refuse(
          "role {0} may not promote {1}; in database {2} of the primary: GRANT EXECUTE ON FUNCTION pg_promote TO {0}",
          settings_.user, s.id, settings_.database);
    if (f_.replay_paused) refuse("replay on {} is paused; SELECT pg_wal_replay_resume()", s.id);
    if (const auto delay = setting(s, "recovery_min_apply_delay"); !delay.empty() && delay != "0")
      refuse("{} replays late on purpose (recovery_min_apply_delay = {} ms): nobody can be held that long", s.id,
             delay);
    // 27.4.3 Administrator's Overview: with less, a standby stops replaying once the primary's value reaches it.
    for (const char* name : {"max_connections", "max_worker_processes", "max_wal_senders", "max_prepared_transactions",
                             "max_locks_per_transaction"}) {
      const auto here = parse(setting(p, name)), there = parse(setting(s, name));
      if (here && there && *there < *here) refuse("{} is {} on {} and {} on {}", name, *there, s.id, *here, p.id);
    }
    if (setting(s, "default_transaction_read_only") == "on")
      refuse("default_transaction_read_only is on at {}: nobody could write there", s.id);
    if (const auto names = setting(s, "synchronous_standby_names"); !names.empty())
      refuse("commits on {} would wait for a standby (synchronous_standby_names = '{}')", s.id, names);
    if (f_.waits_for_shadow)
      warn("{} waits for {} at every commit (synchronous_standby_names = '{}'), and hangs with it", p.id, s.id,
           setting(p, "synchronous_standby_names"));
    if (const auto here = setting(p, "shared_preload_libraries"), there = setting(s, "shared_preload_libraries");
        here != there)
      warn("shared_preload_libraries is '{}' on {} and '{}' on {}", there, s.id, here, p.id);
    // An index sorted by other rules finds other rows, and a unique one lets duplicates in.
    std::vector<std::string> both, only_there;
    for (const auto& name : f_.collations_changed_there) {
      const bool here = std::any_of(f_.databases.begin(), f_.databases.end(), [&](const DatabaseFacts& d) {
        return std::find(d.collations_changed.begin(), d.collations_changed.end(), name) != d.collations_changed.end();
      });
      (here ? both : only_there).push_back(name);
    }
    if (!only_there.empty())
      refuse("collations behind indexes are of another version on the host of {}: {}; its indexes would be wrong", s.id,
             listed(only_there));
    if (!both.empty())
      warn("collations behind indexes have changed since those were built, on both hosts: {}; REINDEX", listed(both));
  }

  void what_would_be_lost() {
    std::uint64_t sequences = 0;
    for (const auto& database : f_.databases) {
      if (!database.unseen.empty()) {
        warn("database {} was not looked into: {}", database.name, database.unseen);
        continue;
      }
      sequences += database.sequences;
      if (database.unlogged_relations == 0) continue;
      const auto text =
          fmt::format("{} unlogged relations of database {} hold data (e.g. {}) and are empty after a promotion",
                      database.unlogged_relations, database.name, database.unlogged_example);
      if (settings_.empty_unlogged)
        warn("{}", text);
      else
        refuse("{}; where that may be, set option 'unlogged' to 'empty'", text);
    }
    if (sequences > 0) warn("{} sequences may skip up to 32 values", sequences);
    for (const auto& slot : f_.slots) {
      if (slot.logical && !slot.survives)
        refuse("the logical slot {} would lose its place: its consumer would miss changes", slot.name);
      if (!slot.logical) warn("the slot {} stays behind on {}", slot.name, f_.primary.id);
    }
    if (f_.prepared_transactions > 0)
      warn("{} prepared transactions go along, and end where they are committed or rolled back",
           f_.prepared_transactions);
  }

  void who_else() {
    if (!f_.other_standbys.empty())
      warn("other standbys stream from {} and must be pointed at {}: {}", f_.primary.id, f_.shadow.id,
           listed(f_.other_standbys));
    const auto here = setting(f_.primary, "archive_mode"), there = setting(f_.shadow, "archive_mode");
    if (here != "off" && !here.empty() && there == "off")
      warn("{} archives its log and {} does not (archive_mode): point-in-time recovery would end at the handover",
           f_.primary.id, f_.shadow.id);
    if (there == "always" && setting(f_.primary, "archive_command") == setting(f_.shadow, "archive_command"))
      warn("{} archives too (archive_mode = always), by the same archive_command", f_.shadow.id);
  }

  void room() {
    const auto need = 2 * f_.segment_bytes;
    // A promotion copies a segment, and a server that cannot write its log stops.
    if (f_.shadow.volume_left_bytes < need)
      refuse("the volume of {} has {} left; a promotion needs {}", f_.shadow.id, bytes(f_.shadow.volume_left_bytes),
             bytes(need));
    if (f_.primary.volume_left_bytes < need)
      warn("the volume of {} has {} left, too little to start again as primary: its fence is the point of no return",
           f_.primary.id, bytes(f_.primary.volume_left_bytes));
  }

  void afterwards() {
    if (!f_.checksums && setting(f_.primary, "wal_log_hints") != "on")
      warn("{} has neither checksums nor wal_log_hints: should it diverge, it must be copied anew", f_.primary.id);
  }

  static std::optional<long> parse(const std::string& text) {
    if (text.empty()) return std::nullopt;
    return std::strtol(text.c_str(), nullptr, 10);
  }
  static std::string bytes(std::uint64_t n) { return format_bytes(static_cast<double>(n)); }

  const PreflightFacts& f_;
  const PgSettings& settings_;
  std::vector<Finding> out_;
};

}  // namespace

std::vector<Finding> judge(const PreflightFacts& facts, const PgSettings& settings) {
  return Judge(facts, settings).all();
}

std::string words_of(const std::vector<Finding>& findings, Weight weight) {
  std::string out;
  for (const auto& finding : findings) {
    if (finding.weight != weight) continue;
    if (!out.empty()) out += "; ";
    out += finding.text;
  }
  return out;
}

}  // namespace foreshadow::kinds::postgres
