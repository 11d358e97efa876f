// What speaks against handing this primary over to this shadow, looked for before anybody is held: what would be lost
// or would change for its users, what would stand in the way half way, and whether both servers are who we think.
//
// Looking and judging are apart: facts are gathered from both servers and their directories, and a pure function makes
// findings of them. Changes nothing.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "domain/resource.hpp"
#include "kinds/postgres/control.hpp"
#include "kinds/postgres/settings.hpp"

namespace foreshadow::kinds::postgres {

enum class Weight { warn, refuse };
struct Finding {
  Weight weight = Weight::warn;
  std::string text;
  friend bool operator==(const Finding&, const Finding&) = default;
};

// One server and its directory. Nothing in an optional: it could not be seen.
struct ServerFacts {
  InstanceId id;
  int version = 0;  // 150020
  std::string system_identifier;
  bool in_recovery = false;
  std::optional<bool> own_directory;  // it runs in the data directory that we would fence or promote
  std::map<std::string, std::string> settings;
  std::uint64_t volume_left_bytes = 0;
  std::map<std::string, std::string> tablespaces;  // name in pg_tblspc -> where it really lies
};

struct SlotFacts {
  std::string name;
  bool logical = false;
  bool survives = false;  // the standby keeps a copy of it (17 and later)
};

struct DatabaseFacts {
  std::string name;
  std::string unseen;  // why it could not be looked into; the rest is empty then
  std::uint64_t unlogged_relations = 0;
  std::string unlogged_example;
  std::uint64_t sequences = 0;
  std::vector<std::string> collations_changed;  // behind an index, with another version than that was built with
};

struct PreflightFacts {
  ServerFacts primary, shadow;
  // Of the primary.
  bool checksums = false;
  std::vector<SlotFacts> slots;             // but ours
  std::vector<std::string> other_standbys;  // streaming from it, beside the shadow
  std::uint64_t prepared_transactions = 0;
  std::vector<DatabaseFacts> databases;
  std::uint64_t segment_bytes = 0;
  bool waits_for_shadow = false;  // synchronous_standby_names takes the shadow in
  // Of the shadow.
  bool replay_paused = false;
  bool may_promote = false;
  std::vector<std::string> collations_changed_there;  // the same indexes seen from the shadow's host
  std::vector<std::string> rivals;
};

// Refusals first. `settings` says what the operator takes into account.
std::vector<Finding> judge(const PreflightFacts& facts, const PgSettings& settings);

// Errors are of the looking itself (unreachable, timeout, refused ...): without both servers there is no preflight.
Result<PreflightFacts> look_before_handover(Control& primary_control, Control& shadow_control, const Instance& primary,
                                            const Instance& shadow, const PgSettings& settings, std::stop_token stop);

// "unlogged ...; tablespace ..." of one weight; empty: none.
std::string words_of(const std::vector<Finding>& findings, Weight weight);

}  // namespace foreshadow::kinds::postgres
