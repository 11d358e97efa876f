#include "kinds/postgres/host_promoter.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "kinds/postgres/assess.hpp"
#include "kinds/postgres/control.hpp"
#include "kinds/postgres/data_dir.hpp"
#include "kinds/postgres/fence.hpp"
#include "kinds/postgres/prepare.hpp"
#include "kinds/postgres/processes.hpp"
#include "kinds/postgres/proof.hpp"
#include "kinds/postgres/rejoin.hpp"
#include "kinds/postgres/rivals.hpp"
#include "kinds/postgres/server.hpp"
#include "kinds/postgres/standby.hpp"
#include "kinds/postgres/wal.hpp"
#include "kinds/postgres/warm.hpp"
#include "kinds/postgres/write_probe.hpp"

namespace foreshadow::kinds::postgres {
namespace {

using namespace std::chrono_literals;

constexpr Millis kQuery = 5s;
// Clients are parked under a lease of seconds; a shadow that is not there by now is not there in time.
constexpr Millis kCatchUp = 2s;
constexpr Millis kPromote = 30s;

using Clock = std::chrono::steady_clock;
double since_ms(Clock::time_point began) {
  return std::chrono::duration<double, std::milli>(Clock::now() - began).count();
}

class HostPromoter final : public act::Promoter {
 public:
  explicit HostPromoter(PgSettings settings) : settings_(std::move(settings)) {}

  Result<std::string> prove_equal(const act::Authority& who, const Instance& primary, const Instance& shadow,
                                  std::stop_token stop) override {
    FS_TRY(there, warm_.take(shadow.endpoint, settings_, stop));
    FS_TRY(here, warm_.take(primary.endpoint, settings_, stop));
    auto& standby = there.control;
    auto& control = here.control;
    // What a preparation found out on these same connections holds for both servers for as long as they live.
    if (const auto pair = WarmControls::pair_of(primary, shadow); here.examined != pair || there.examined != pair) {
      FS_CHECK(examine_pair(settings_, control, standby, primary, shadow, stop));
      // Local: the commit flushes all WAL before it, asynchronous commits too, and never waits for a standby that may
      // be dead.
      FS_TRY(set, control.query("SET synchronous_commit = local", kQuery, stop));
      static_cast<void>(set);
    }
    FS_TRY(in_recovery, standby.truth("SELECT pg_is_in_recovery()", kQuery, stop));
    if (!in_recovery) return fail(Code::conflict, shadow.id + " is not in recovery: it takes writes itself");

    Proof proof;
    FS_TRY(rows, control.query("SELECT lsn, pg_walfile_name(lsn) FROM pg_current_wal_insert_lsn() AS here(lsn)", kQuery,
                               stop));
    if (rows.empty() || rows[0].size() != 2 || !rows[0][0] || !rows[0][1])
      return fail(Code::refused, primary.id + " does not say where its log is");
    FS_TRY(marker, parse_lsn(*rows[0][0]));
    proof.marker = marker;
    proof.timeline = static_cast<std::uint32_t>(std::strtoul(rows[0][1]->substr(0, 8).c_str(), nullptr, 16));
    FS_TRY(sent, control.query("SELECT pg_logical_emit_message(true, 'foreshadow', $1)", kQuery, stop,
                               {fmt::format("{} epoch {} term {}", who.resource, who.epoch, who.term)}));
    static_cast<void>(sent);
    FS_TRY(flushed, control.lsn("SELECT pg_current_wal_flush_lsn()", kQuery, stop));
    proof.lsn = flushed;
    Lsn replayed;
    const auto reached =
        wait_until(shadow.id + " has replayed " + flushed.text(), kCatchUp, stop, [&]() -> Result<bool> {
          FS_TRY(text, standby.value("SELECT coalesce(pg_last_wal_replay_lsn(), '0/0')", kQuery, stop));
          FS_TRY(lsn, parse_lsn(text));
          replayed = lsn;
          return replayed >= flushed;
        });
    if (!reached && reached.error().code == Code::timeout)
      return fail(Code::timeout, reached.error().what + ", it is at " + replayed.text());
    FS_CHECK(reached);
    // For the promotion. The primary's goes with it.
    warm_.keep(shadow.endpoint, std::move(there));
    return proof.text();
  }

  Result<std::string> prepare(const act::Authority&, const Instance& primary, const Instance& shadow,
                              std::stop_token stop) override {
    return prepare_cluster(settings_, primary, shadow, warm_, std::move(stop));
  }

  Result<act::Finding> assess(const act::Authority& who, const Instance& primary, const Instance& shadow,
                              std::uint64_t loss_max_bytes, std::stop_token stop) override {
    return assess_cluster(settings_, who, primary, shadow, loss_max_bytes, std::move(stop));
  }

  Result<std::string> fence(const act::Authority&, const Instance& primary, const Instance& shadow,
                            std::stop_token) override {
    warm_.drop(primary.endpoint);
    return fence_cluster(settings_, primary, shadow);
  }

  Result<act::Finding> check_fenced(const act::Authority&, const Instance& primary, const Instance& shadow,
                                    const std::string& proof_text, std::stop_token stop) override {
    const auto began = Clock::now();
    FS_TRY(proof, parse_proof(proof_text));
    FS_TRY(dir, DataDir::open(primary.data_dir));
    FS_TRY(members, processes_of(dir.path()));
    if (!members.empty()) return fail(Code::refused, primary.id + " is not fenced: its processes run");
    FS_TRY(tail, read_wal(settings_, dir, proof.timeline, proof.marker, proof.lsn, stop));
    if (!tail.marker_commit || *tail.marker_commit >= proof.lsn)
      return fail(Code::corrupt,
                  fmt::format("the log of {} does not hold the marker of proof {}: no claim can be made from it",
                              primary.id, proof.lsn.text()));
    if (tail.commits.empty())
      return act::Finding{fmt::format("no commit past {}: {} records read to {} in {:.0f} ms{}", proof.lsn.text(),
                                      tail.records, tail.last.text(), since_ms(began),
                                      tail.by_tool ? ", by pg_waldump" : "")};
    // Somebody writes beside the gateways. What the shadow has received all the same is safe; the rest would be lost.
    Lsn replayed = proof.lsn;
    if (auto settled = settled_replay(shadow, stop)) replayed = std::max(replayed, *settled);
    if (tail.last_commit && *tail.last_commit >= replayed)
      return fail(Code::conflict,
                  fmt::format("{} committed past the proof at {}, first '{}' at {}, last at {}; the shadow has "
                              "replayed to {}: somebody "
                              "writes beside the gateways",
                              tail.commits.size(), proof.lsn.text(), tail.commits.front().what,
                              tail.commits.front().at.text(), tail.last_commit->text(), replayed.text()));
    return act::Finding{fmt::format(
        "{} commits past {}, all of them on the shadow, which has replayed {}: somebody writes beside the gateways",
        tail.commits.size(), proof.lsn.text(), replayed.text())};
  }

  Result<std::string> promote(const act::Authority&, const Instance& shadow, std::stop_token stop) override {
    const auto began = Clock::now();
    FS_CHECK(refuse_rival(rival_in_files(shadow.data_dir)));
    FS_TRY(warm, warm_.take(shadow.endpoint, settings_, stop));
    auto& control = warm.control;
    const std::string recovering = "SELECT pg_is_in_recovery()";
    FS_TRY(in_recovery, control.truth(recovering, kQuery, stop));
    if (!in_recovery) return shadow.id + " takes writes already";
    FS_TRY(rival, rival_in_server(control, stop));
    FS_CHECK(refuse_rival(rival));

    // From here on an error says nothing about whether it happened.
    if (auto asked = control.query("SELECT pg_promote(false)", kQuery, stop); !asked) {
      if (asked.error().code == Code::refused) return tl::make_unexpected(asked.error());
      return fail(Code::timeout, "promotion asked for, no answer: " + asked.error().what);
    }
    const auto ended = wait_until(shadow.id + " leaves recovery", kPromote, {}, [&]() -> Result<bool> {
      auto still = control.truth(recovering, kQuery, {});
      if (still) return !*still;
      // The connection may break without the server being gone.
      auto again = Control::connect(shadow.endpoint, settings_, {});
      if (again) control = std::move(*again);
      return false;
    });
    if (!ended) return fail(Code::timeout, ended.error().what);
    auto at = control.value(
        "SELECT pg_current_wal_lsn() || ' on timeline ' || "
        "('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int",
        kQuery, stop);
    return fmt::format("promoted in {:.0f} ms{}", since_ms(began), at ? ", at " + *at : "");
  }

  Result<bool> writable(const Instance& instance, std::stop_token stop) override {
    return try_write(instance, settings_, std::move(stop));
  }

  Result<std::string> revive(const act::Authority&, const Instance& primary, std::stop_token stop) override {
    return revive_cluster(settings_, primary, std::move(stop));
  }
  Result<std::string> rejoin(const act::Authority&, const Instance& old_primary, const Instance& primary,
                             std::stop_token stop) override {
    return rejoin_cluster(settings_, old_primary, primary, std::move(stop));
  }

 private:
  // How far the shadow has replayed, once it has replayed all it received, or will not get further (what it received
  // may end inside a record). A record that begins before it is on the shadow.
  Result<Lsn> settled_replay(const Instance& shadow, std::stop_token stop) {
    Lsn replayed;
    const auto settled = wait_until(
        shadow.id + " has replayed what it received", kCatchUp, stop,
        [&]() -> Result<bool> {
          FS_TRY(view, look_at_standby(shadow, settings_, stop));
          if (!view.running || !view.in_recovery || !view.replayed)
            return fail(Code::refused, shadow.id + " cannot say what it has replayed");
          replayed = *view.replayed;
          return !view.received || *view.replayed >= *view.received;
        },
        5ms);
    if (!settled && settled.error().code != Code::timeout) return tl::make_unexpected(settled.error());
    return replayed;
  }

  const PgSettings settings_;
  WarmControls warm_;
};

}  // namespace

std::unique_ptr<act::Promoter> host_promoter(PgSettings settings) {
  return std::make_unique<HostPromoter>(std::move(settings));
}

}  // namespace foreshadow::kinds::postgres
