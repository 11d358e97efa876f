#include "kinds/postgres/prepare.hpp"

#include <fmt/format.h>

#include <chrono>

#include "kinds/postgres/data_dir.hpp"
#include "kinds/postgres/fence.hpp"
#include "kinds/postgres/preflight.hpp"
#include "kinds/postgres/rivals.hpp"

namespace foreshadow::kinds::postgres {
namespace {

using namespace std::chrono_literals;

constexpr Millis kQuery = 5s;
// A checkpoint that takes longer goes on without us; the handover does not wait for it.
constexpr Millis kCheckpoint = 5s;
// A disk that takes this long for a small file has better things to do than a checkpoint at full speed.
constexpr double kSlowFileMs = 200;

using Clock = std::chrono::steady_clock;
double since_ms(Clock::time_point began) {
  return std::chrono::duration<double, std::milli>(Clock::now() - began).count();
}

// Less to write at the fence's end and less to replay after a crash in it; of no use to safety, so it may fail. The
// session gives up by itself, and its server with it, when it takes too long.
std::string checkpoint(const PgSettings& settings, const Instance& instance, std::stop_token stop) {
  const auto began = Clock::now();
  auto control = Control::connect(instance.endpoint, settings, stop);
  if (!control) return fmt::format("no checkpoint on {}: {}", instance.id, control.error().what);
  const auto limit = fmt::format("SET statement_timeout = {}", kCheckpoint.count());
  if (auto set = control->query(limit, kQuery, stop); !set)
    return fmt::format("no checkpoint on {}: {}", instance.id, set.error().what);
  if (auto done = control->query("CHECKPOINT", kCheckpoint + 1s, stop); !done)
    return fmt::format("no checkpoint on {}: {}", instance.id, done.error().what);
  return fmt::format("checkpoint on {} in {:.0f} ms", instance.id, since_ms(began));
}

}  // namespace

Result<void> examine_pair(const PgSettings& settings, Control& primary_control, Control& shadow_control,
                          const Instance& primary, const Instance& shadow, std::stop_token stop) {
  // Refused now, while nothing has happened, rather than between the fence and the promotion.
  FS_CHECK(refuse_rival(rival_in_files(primary.data_dir)));
  FS_CHECK(refuse_rival(rival_in_files(shadow.data_dir)));
  FS_TRY(rival, rival_in_server(primary_control, stop));
  FS_CHECK(refuse_rival(rival));
  const std::string identity = "SELECT system_identifier FROM pg_control_system()";
  FS_TRY(primary_system, primary_control.value(identity, kQuery, stop));
  FS_TRY(shadow_system, shadow_control.value(identity, kQuery, stop));
  if (primary_system != shadow_system)
    return fail(Code::refused,
                fmt::format("{} is no copy of {}: their system identifiers differ", shadow.id, primary.id));
  FS_TRY(may_promote, shadow_control.truth("SELECT has_function_privilege('pg_promote(boolean, integer)', 'EXECUTE')",
                                           kQuery, stop));
  if (!may_promote)
    return fail(Code::refused, fmt::format("role {} may not promote {}; in database {} of the primary: GRANT "
                                           "EXECUTE ON FUNCTION pg_promote TO {}",
                                           settings.user, shadow.id, settings.database, settings.user));
  return {};
}

Result<std::string> prepare_cluster(const PgSettings& settings, const Instance& primary, const Instance& shadow,
                                    WarmControls& warm, std::stop_token stop) {
  const auto began = Clock::now();
  if (primary.id == shadow.id || primary.data_dir == shadow.data_dir || primary.endpoint == shadow.endpoint)
    return fail(Code::invalid, "the instance to fence is the one to promote");
  FS_TRY(dir, DataDir::open(primary.data_dir));
  FS_TRY(here, warm.take(primary.endpoint, settings, stop));
  FS_TRY(there, warm.take(shadow.endpoint, settings, stop));

  const auto facts = look_before_handover(here.control, there.control, primary, shadow, settings, stop);
  if (!facts) {
    // A question that is refused is no finding: it leaves the handover unprepared, not forbidden.
    const auto code = facts.error().code == Code::refused ? Code::io : facts.error().code;
    return fail(code, "the preflight could not look: " + facts.error().what);
  }
  const auto findings = judge(*facts, settings);
  if (const auto refusals = words_of(findings, Weight::refuse); !refusals.empty())
    return fail(Code::refused, "not to be handed over: " + refusals);

  const auto writing = Clock::now();
  FS_CHECK(prepare_fence(settings, dir, primary, shadow));
  const auto files_ms = since_ms(writing);
  std::string text;
  if (files_ms > kSlowFileMs)
    text = fmt::format("no checkpoint: the disk of {} took {:.0f} ms for two small files", primary.id, files_ms);
  else
    text = checkpoint(settings, primary, stop) + ", " + checkpoint(settings, shadow, stop);
  if (stop.stop_requested()) return fail(Code::cancelled, "told to stop");
  // What the marker's commit waits for: this disk, and never a standby that may be dead.
  FS_TRY(set, here.control.query("SET synchronous_commit = local", kQuery, stop));
  static_cast<void>(set);

  here.examined = there.examined = WarmControls::pair_of(primary, shadow);
  warm.keep(primary.endpoint, std::move(here));
  warm.keep(shadow.endpoint, std::move(there));
  text = fmt::format("prepared in {:.0f} ms: {}", since_ms(began), text);
  if (const auto warnings = words_of(findings, Weight::warn); !warnings.empty()) text += "; mind: " + warnings;
  return text;
}

}  // namespace foreshadow::kinds::postgres
