// What the kind reads as text: LSNs, proofs, pg_waldump, timeline histories, pg_controldata, configuration files,
// options.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "kinds/postgres/base_copy.hpp"
#include "kinds/postgres/control.hpp"
#include "kinds/postgres/data_dir.hpp"
#include "kinds/postgres/postgres_kind.hpp"
#include "kinds/postgres/proof.hpp"
#include "kinds/postgres/server.hpp"
#include "kinds/postgres/settings.hpp"
#include "kinds/postgres/standby.hpp"
#include "kinds/postgres/wal.hpp"
#include "support/temp_dir.hpp"

namespace foreshadow::kinds::postgres {
namespace {

TEST(PgText, Lsn) {
  EXPECT_EQ(parse_lsn("16/B374D848")->value, 0x16B374D848U);
  EXPECT_EQ(parse_lsn("0/0")->value, 0U);
  EXPECT_EQ(parse_lsn("FFFFFFFF/FFFFFFFF")->value, ~0ULL);
  EXPECT_EQ(parse_lsn("16/B374D848")->text(), "16/B374D848");
  for (const char* bad : {"", "/", "1/", "/1", "1", "1/1/1", "g/1", "1/123456789", "-1/1", " 1/1", "1/1 ", "+1/1"})
    EXPECT_FALSE(parse_lsn(bad)) << bad;
}

TEST(PgText, Proof) {
  const Proof proof{.lsn = {0x3000148}, .marker = {0x30000F8}, .timeline = 1};
  EXPECT_EQ(proof.text(), "0/3000148 marker 0/30000F8 timeline 1");
  EXPECT_EQ(*parse_proof(proof.text()), proof);
  for (const char* bad :
       {"", "0/3000148", "0/3000148 marker 0/30000F8", "0/3000148 marker 0/30000F8 timeline 0",
        "0/3000148 marker 0/30000F8 timeline 1 more", "0/1 marker 0/2 timeline 1", "0/3000148 marker x timeline 1"})
    EXPECT_FALSE(parse_proof(bad)) << bad;
}

constexpr const char* kWal =
    "rmgr: LogicalMessage len (rec/tot):     68/    68, tx:        735, lsn: 0/01563E60, prev 0/01563E28, desc: "
    "MESSAGE "
    "transactional, prefix \"foreshadow\"; payload (12 bytes): 65 70\n"
    "rmgr: Transaction len (rec/tot):     34/    34, tx:        735, lsn: 0/01563EA8, prev 0/01563E60, desc: COMMIT "
    "2025-01-01 00:00:00.000000 UTC\n"
    "rmgr: Standby     len (rec/tot):     50/    50, tx:          0, lsn: 0/01563ED0, prev 0/01563EA8, desc: "
    "RUNNING_XACTS "
    "nextXid 736, lsn: 0/99999999, desc: COMMIT\n"
    "rmgr: Heap        len (rec/tot):     54/   166, tx:        736, lsn: 0/01563F08, prev 0/01563ED0, desc: INSERT "
    "off 3\n"
    "rmgr: Transaction len (rec/tot):     34/    34, tx:        736, lsn: 0/01563FB0, prev 0/01563F08, desc: ABORT "
    "now\n"
    "rmgr: Transaction len (rec/tot):     34/    34, tx:        737, lsn: 0/01564000, prev 0/01563FB0, desc: PREPARE "
    "gid x\n"
    "rmgr: Transaction len (rec/tot):     34/    34, tx:        738, lsn: 0/01564040, prev 0/01564000, desc: "
    "COMMIT_PREPARED 737\n";

TEST(PgText, WalTail) {
  const auto tail = parse_wal(kWal, Lsn{0x01563ED0});
  ASSERT_TRUE(tail) << tail.error().what;
  EXPECT_EQ(tail->records, 7U);
  EXPECT_EQ(tail->last.value, 0x01564040U);
  ASSERT_TRUE(tail->marker_commit);
  EXPECT_EQ(tail->marker_commit->value, 0x01563EA8U);
  ASSERT_EQ(tail->commits.size(), 2U);
  EXPECT_TRUE(tail->commits[0].what.starts_with("PREPARE"));
  EXPECT_TRUE(tail->commits[1].what.starts_with("COMMIT_PREPARED"));
  EXPECT_EQ(parse_wal(kWal, Lsn{0})->commits.size(), 3U);
  EXPECT_EQ(parse_wal("", Lsn{0})->records, 0U);
}

TEST(PgText, TheLastCommitIsToldHoweverManyThereAre) {
  std::string text;
  for (unsigned i = 1; i <= 1001; ++i)
    text += fmt::format(
        "rmgr: Transaction len (rec/tot):     34/    34, tx:        {}, lsn: 0/{:08X}, prev 0/{:08X}, desc: "
        "COMMIT 2025-01-01\n",
        700 + i, i * 0x40, (i - 1) * 0x40);
  const auto tail = parse_wal(text, Lsn{1});
  ASSERT_TRUE(tail) << tail.error().what;
  EXPECT_EQ(tail->commits.size(), 1000U) << "what is kept for people is bounded";
  ASSERT_TRUE(tail->last_commit);
  EXPECT_EQ(tail->last_commit->value, 1001U * 0x40U);
}

TEST(PgText, WalThatIsNotUnderstoodClaimsNothing) {
  const std::string text = kWal;
  // Cut anywhere inside a line, the line is either refused or read as it was, never as another record.
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    const auto tail = parse_wal(std::string_view(text).substr(0, cut), Lsn{0});
    if (tail) EXPECT_LE(tail->records, 7U);
  }
  EXPECT_FALSE(parse_wal("pg_waldump: something new\n", Lsn{0}));
  EXPECT_FALSE(parse_wal("rmgr: Transaction len (rec/tot): 34/ 34, tx: x, lsn: 0/1, prev 0/0, desc: COMMIT\n", Lsn{0}));
  EXPECT_FALSE(parse_wal(text + text, Lsn{0})) << "records that go backwards";
}

TEST(PgText, TimelineHistory) {
  const auto forks =
      parse_timeline_history("# comment\n1\t0/3000148\tno recovery target specified\n\n2\t0/5000000\tx\n");
  ASSERT_TRUE(forks);
  ASSERT_EQ(forks->size(), 2U);
  EXPECT_EQ(forks->at(1).timeline, 2U);
  EXPECT_EQ(forks->at(1).at.value, 0x5000000U);
  EXPECT_FALSE(parse_timeline_history("2\t0/5\n1\t0/6\n"));
  EXPECT_FALSE(parse_timeline_history("1\t0/6\n2\t0/5\n"));
  EXPECT_FALSE(parse_timeline_history("one\t0/6\n"));
  EXPECT_FALSE(parse_timeline_history("1 nowhere\n"));
}

TEST(PgText, ControlFile) {
  const std::string text =
      "pg_control version number:            1300\nDatabase system identifier:           7312345678901234567\n"
      "Latest checkpoint location:           0/2000060\nLatest checkpoint's TimeLineID:       1\n"
      "Min recovery ending loc's timeline:   2\nwal_log_hints setting:                on\n"
      "Bytes per WAL segment:                16777216\nData page checksum version:           0\n";
  const auto file = parse_control_file(text);
  ASSERT_TRUE(file) << file.error().what;
  EXPECT_EQ(file->system_identifier, "7312345678901234567");
  EXPECT_EQ(file->checkpoint.value, 0x2000060U);
  EXPECT_EQ(file->timeline, 2U);
  EXPECT_EQ(file->wal_segment_bytes, 16U << 20);
  EXPECT_FALSE(file->checksums);
  EXPECT_TRUE(file->wal_log_hints);
  EXPECT_FALSE(parse_control_file("Database system identifier:  1\n"));
  EXPECT_FALSE(parse_control_file(""));
}

TEST(PgText, AutoConfIsEditedNotRewritten) {
  const std::string before = "# Do not edit\nport = '5432'\n  Primary_Conninfo = 'host=old'\nwork_mem = '1MB'\n";
  EXPECT_EQ(edit_auto_conf(before, {{"primary_conninfo", "host='it''s' \\"}, {"port", std::nullopt}}),
            "# Do not edit\nwork_mem = '1MB'\nprimary_conninfo = 'host=''it''''s'' \\\\'\n");
  EXPECT_EQ(edit_auto_conf("", {{"a", "1"}}), "a = '1'\n");
  EXPECT_EQ(edit_auto_conf("x = '1'", {}), "x = '1'\n");
  EXPECT_EQ(edit_auto_conf("", {{"a", "1\nb = 2"}}), "a = '1b = 2'\n") << "a value cannot smuggle in a line";
}

TEST(PgText, Progress) {
  EXPECT_DOUBLE_EQ(copied_fraction("  100/400 kB (25%), 0/1 tablespace"), 0.25);
  EXPECT_DOUBLE_EQ(copied_fraction("500/400 kB (100%), 1/1 tablespace"), 1.0);
  EXPECT_LT(copied_fraction("waiting for checkpoint"), 0);
  EXPECT_LT(copied_fraction("a/b kB (x%)"), 0);
  EXPECT_LT(copied_fraction("1/0 kB (0%)"), 0);
}

TEST(PgText, SynchronousNames) {
  for (const char* yes : {"*", "shop-b", "Shop-B", "a, shop-b", "FIRST 2 (a, \"shop-b\")", "ANY 1 (*)", "2(shop-b,c)"})
    EXPECT_TRUE(names_standby(yes, "shop-b")) << yes;
  for (const char* no : {"", "shop-b2", "a", "FIRST 1 (a, b)", "xshop-b"})
    EXPECT_FALSE(names_standby(no, "shop-b")) << no;
}

TEST(PgText, SlotNameAndConninfo) {
  EXPECT_EQ(slot_name("Shop-B.2"), "foreshadow_shop_b_2");
  EXPECT_EQ(slot_name(std::string(200, 'x')).size(), 63U);
  EXPECT_EQ(conninfo_quote("it's \\"), "'it\\'s \\\\'");
  const auto info = conninfo({"/run/pg", 5432}, *pg_settings({{"password_file", "/etc/pgpass"}}), "shop-b");
  EXPECT_NE(info.find("passfile='/etc/pgpass'"), std::string::npos) << info;
  EXPECT_EQ(info.find("password"), std::string::npos) << info;
}

TEST(PgText, OptionsAreCheckedByValue) {
  ASSERT_TRUE(pg_settings({}));
  EXPECT_EQ(pg_settings({})->replication_user, "postgres");
  EXPECT_EQ(pg_settings({{"max_rate", "1MiB"}})->max_rate, 1U << 20);
  EXPECT_FALSE(pg_settings({{"max_rate", "unlimited"}})->max_rate.has_value());
  for (const auto& [name, value] : std::map<std::string, std::string>{{"max_rate", "1KiB"},
                                                                      {"max_rat", "1MiB"},
                                                                      {"slot", "yes"},
                                                                      {"checkpoint", "slow"},
                                                                      {"headroom_min", "much"},
                                                                      {"ballast_file", "ballast"},
                                                                      {"password_file", "pgpass"},
                                                                      {"connect_timeout", "0s"},
                                                                      {"database", ""},
                                                                      {"agent_socket", "there"}}) {
    const auto settings = pg_settings({{name, value}});
    ASSERT_FALSE(settings) << name;
    EXPECT_EQ(settings.error().code, Code::invalid);
    EXPECT_NE(settings.error().what.find(name), std::string::npos) << settings.error().what;
  }
}

TEST(PgText, ProgramsAreThoseOfTheClustersVersion) {
  const foreshadow::testing::TempDir dir;
  for (const char* version : {"15", "17"}) {
    const auto bin = dir / version + "/bin";
    std::filesystem::create_directories(bin);
    std::ofstream(bin + "/pg_ctl") << "";
    EXPECT_EQ(bin_dir_of(std::atoi(version), dir.path()).value(), bin) << "not those of the newest";
  }
  const auto missing = bin_dir_of(16, dir.path());
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::invalid);
  EXPECT_NE(missing.error().what.find("bin_dir"), std::string::npos) << missing.error().what;

  std::ofstream(dir / "PG_VERSION") << "15\n";
  EXPECT_EQ(DataDir::open(dir.path())->major_version().value(), 15);
  for (const char* odd : {"", "nine", "9.6\n", "15beta1\n"}) {
    std::ofstream(dir / "PG_VERSION", std::ios::trunc) << odd;
    EXPECT_FALSE(DataDir::open(dir.path())->major_version()) << odd;
  }
}

TEST(PgText, AKindWithoutAnAgentRefusesToAct) {
  const auto kind = make_postgres_kind();
  const Resource resource{.id = "shop", .kind = "postgres", .primary = {.id = "a", .endpoint = {"127.0.0.1", 5432}}};
  EXPECT_TRUE(kind->check(resource, {}));
  EXPECT_FALSE(kind->check(resource, {{"agent_socket", "here"}}));
  EXPECT_FALSE(kind->check({.id = "shop"}, {}));
  const auto refused = kind->promoter({})->promote({"shop", 1, 1}, resource.primary, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::refused);
  EXPECT_NE(refused.error().what.find("agent"), std::string::npos);
  EXPECT_TRUE(kind->traits().fences);
  EXPECT_FALSE(kind->traits().shares_data);
}

}  // namespace
}  // namespace foreshadow::kinds::postgres
