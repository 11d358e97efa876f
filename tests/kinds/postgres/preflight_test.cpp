// The judging half of the preflight. Each finding on real servers is in preflight_pgtest.cpp; here is what cannot be
// had there: other versions, other hosts, other collation libraries.
#include "kinds/postgres/preflight.hpp"

#include <gtest/gtest.h>

namespace foreshadow::kinds::postgres {
namespace {

PreflightFacts sound() {
  PreflightFacts f;
  for (auto* server : {&f.primary, &f.shadow}) {
    server->version = 150020;
    server->system_identifier = "7";
    server->own_directory = true;
    server->volume_left_bytes = 1 << 30;
    server->settings = {{"max_connections", "100"}, {"archive_mode", "off"}, {"shared_preload_libraries", ""}};
  }
  f.primary.id = "a";
  f.shadow.id = "b";
  f.shadow.in_recovery = true;
  f.checksums = true;
  f.segment_bytes = 16 << 20;
  f.may_promote = true;
  return f;
}

std::string refusals(const PreflightFacts& f, const PgSettings& settings = {}) {
  return words_of(judge(f, settings), Weight::refuse);
}
std::string warnings(const PreflightFacts& f, const PgSettings& settings = {}) {
  return words_of(judge(f, settings), Weight::warn);
}

TEST(PgPreflight, NothingIsFoundWhereNothingIs) { EXPECT_EQ(judge(sound(), {}).size(), 0U); }

TEST(PgPreflight, RefusalsComeFirst) {
  auto f = sound();
  f.prepared_transactions = 2;
  f.replay_paused = true;
  f.shadow.version = 150018;
  const auto findings = judge(f, {});
  ASSERT_EQ(findings.size(), 3U);
  EXPECT_EQ(findings[0].weight, Weight::refuse);
  EXPECT_NE(findings[0].text.find("pg_wal_replay_resume"), std::string::npos) << findings[0].text;
  EXPECT_NE(warnings(f).find("15.20"), std::string::npos) << warnings(f);
}

TEST(PgPreflight, WhoTheyAre) {
  auto f = sound();
  f.shadow.version = 160004;
  EXPECT_NE(refusals(f).find("b of 16"), std::string::npos) << refusals(f);
  f = sound();
  f.shadow.system_identifier = "8";
  EXPECT_NE(refusals(f).find("no copy"), std::string::npos);
  f = sound();
  f.shadow.in_recovery = false;
  EXPECT_NE(refusals(f).find("takes writes itself"), std::string::npos);
  f = sound();
  f.primary.own_directory = false;
  EXPECT_NE(refusals(f).find("a fence would miss it"), std::string::npos);
  f.primary.own_directory.reset();
  EXPECT_EQ(refusals(f), "");
  EXPECT_NE(warnings(f).find("pg_read_all_settings"), std::string::npos);
}

TEST(PgPreflight, OneTablespaceForTwo) {
  auto f = sound();
  f.primary.tablespaces = {{"16384", "/fast/a"}};
  f.shadow.tablespaces = {{"16384", "/fast/b"}};
  EXPECT_EQ(refusals(f), "");
  f.shadow.tablespaces = {{"16384", "/fast/a"}};
  EXPECT_NE(refusals(f).find("/fast/a"), std::string::npos);
}

TEST(PgPreflight, CollationsOfAnotherHost) {
  auto f = sound();
  f.databases = {{.name = "shop"}};
  f.collations_changed_there = {"de_DE of database shop"};
  EXPECT_NE(refusals(f).find("de_DE"), std::string::npos) << "only there: its indexes would be wrong";
  f.databases[0].collations_changed = {"de_DE of database shop"};
  EXPECT_EQ(refusals(f), "");
  EXPECT_NE(warnings(f).find("REINDEX"), std::string::npos) << "on both: as wrong as before";
}

TEST(PgPreflight, SlotsThatASynchronizedStandbyHasToo) {
  auto f = sound();
  f.slots = {{.name = "cdc", .logical = true, .survives = true}};
  EXPECT_EQ(judge(f, {}).size(), 0U);
  f.slots[0].survives = false;
  EXPECT_NE(refusals(f).find("cdc"), std::string::npos);
}

TEST(PgPreflight, Room) {
  auto f = sound();
  f.primary.volume_left_bytes = f.segment_bytes;
  EXPECT_EQ(refusals(f), "") << "that is what handovers are for";
  EXPECT_NE(warnings(f).find("point of no return"), std::string::npos);
  f = sound();
  f.shadow.volume_left_bytes = f.segment_bytes;
  EXPECT_NE(refusals(f).find("a promotion needs"), std::string::npos);
}

TEST(PgPreflight, ADatabaseThatCannotBeSeenIsTold) {
  auto f = sound();
  f.databases = {{.name = "secret", .unseen = "permission denied"}};
  EXPECT_EQ(refusals(f), "");
  EXPECT_NE(warnings(f).find("secret"), std::string::npos);
}

TEST(PgPreflight, Archives) {
  auto f = sound();
  f.primary.settings["archive_mode"] = "on";
  EXPECT_NE(warnings(f).find("point-in-time"), std::string::npos);
  f.shadow.settings["archive_mode"] = "always";
  f.primary.settings["archive_command"] = f.shadow.settings["archive_command"] = "cp %p /archive/%f";
  EXPECT_NE(warnings(f).find("same archive_command"), std::string::npos);
}

}  // namespace
}  // namespace foreshadow::kinds::postgres
