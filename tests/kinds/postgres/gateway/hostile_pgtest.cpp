// Families 10 to 13 of bad input, and clients that are slow or rude: they cost only themselves.
#include <gtest/gtest.h>

#include "edge.hpp"
#include "raw.hpp"

namespace foreshadow {
namespace {

using namespace foreshadow::testing;
using namespace foreshadow::kinds::pg_gateway;

bool is_ready(const std::string& bytes) { return bytes.ends_with(ready_for_query('I')); }

class PgHostile : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!PgCluster::available()) return;
    directory_ = std::make_unique<PgDirectory>();
    server_ = std::make_unique<PgCluster>();
    PgOptions options;
    options.hba = {"host all scram 127.0.0.1/32 scram-sha-256"};
    server_->init(directory_->path(), options);
    server_->start();
    server_->exec("CREATE ROLE scram LOGIN PASSWORD 'x'");
  }
  static void TearDownTestSuite() {
    server_.reset();
    directory_.reset();
  }
  void SetUp() override {
    ASSERT_TRUE(PgCluster::available()) << "no PostgreSQL server is installed: ./dev setup";
    auto settings = settings_of(instance_of(*server_, "a", true));
    settings.header_timeout = Millis{1000};
    edge_ = std::make_unique<Edge>(settings);
  }
  void TearDown() override {
    if (!edge_) return;
    Client well(edge_->port());
    EXPECT_EQ(well.query("SELECT 1").value, "1") << "everybody else goes on";
    edge_.reset();
  }

  static std::unique_ptr<PgDirectory> directory_;
  static std::unique_ptr<PgCluster> server_;
  std::unique_ptr<Edge> edge_;
};
std::unique_ptr<PgDirectory> PgHostile::directory_;
std::unique_ptr<PgCluster> PgHostile::server_;

TEST_F(PgHostile, startup_lengths_and_layouts_get_an_error_and_a_close) {
  const auto raw = [](std::uint32_t length, std::uint32_t code, std::string_view body = {}) {
    std::string out;
    append_u32(out, length);
    append_u32(out, code);
    return out + std::string(body);
  };
  const std::string cases[] = {raw(0, 3 << 16),
                               raw(0xffffffff, 3 << 16),
                               raw(0x80000000, 3 << 16),
                               raw(7, 3 << 16),
                               raw(10'001, 3 << 16),
                               raw(12, 3 << 16, "user"),
                               raw(17, 3 << 16, std::string_view("user\0ann\0", 9)),
                               raw(9, 3 << 16, std::string_view("\0", 1)),
                               raw(8, 2 << 16),
                               raw(9, 80877103, "x"),
                               raw(12, 80877102, "1234"),
                               "GET / HTTP/1.1\r\nHost: x\r\n\r\n"};
  for (const auto& bytes : cases) {
    Raw c(edge_->port());
    c.send(bytes);
    const auto answer = c.read_all();
    ASSERT_FALSE(answer.empty());
    EXPECT_EQ(answer[0], 'E');
    const auto error = decode_error(std::string_view(answer).substr(5));
    EXPECT_EQ(error.severity, "FATAL");
    EXPECT_EQ(error.sqlstate, "08P01");
    EXPECT_TRUE(c.closed());
  }
}

TEST_F(PgHostile, encryption_requests_do_not_loop_and_hide_nothing) {
  std::string ssl, gss;
  append_u32(ssl, 8);
  append_u32(ssl, 80877103);
  append_u32(gss, 8);
  append_u32(gss, 80877104);
  Raw loop(edge_->port());
  for (const auto& request : {gss, ssl}) {
    loop.send(request);
    EXPECT_EQ(loop.read([](const std::string& got) { return !got.empty(); }), "N");
  }
  loop.send(ssl);
  EXPECT_EQ(loop.read_all().substr(0, 1), "E");
  // Bytes stuffed behind the request before it was answered.
  Raw stuffed(edge_->port());
  stuffed.send(ssl + startup({{"user", "postgres"}}));
  EXPECT_EQ(stuffed.read_all().substr(0, 1), "E");
}

TEST_F(PgHostile, a_stalled_startup_ends_at_its_timeout) {
  Raw silent(edge_->port()), dripping(edge_->port()), prompted(edge_->port());
  dripping.send(startup({{"user", "postgres"}}).substr(0, 9));
  prompted.send(startup({{"user", "scram"}, {"database", "postgres"}}));
  EXPECT_EQ(prompted.read([](const std::string& got) { return !got.empty(); })[0], 'R');
  EXPECT_EQ(edge_->report().sessions, 3);
  // A login waiting for its client keeps no handover from draining.
  HoldPolicy policy;
  policy.budget = Millis{2000};
  policy.lease = Millis{5000};
  EXPECT_TRUE(edge_->hold(1, policy));
  edge_->release(1);
  EXPECT_TRUE(eventually([&] { return edge_->report().sessions == 0; }));
  silent.read_all();
  EXPECT_TRUE(silent.closed());
}

TEST_F(PgHostile, wrong_messages_during_authentication) {
  for (const std::string& reply :
       {query("SELECT 1"), message('p', std::string(65'536, 'x')), std::string("p\xff\xff\xff\xff", 5),
        std::string("p\0\0\0\0", 5), message('p', "")}) {
    Raw c(edge_->port());
    c.send(startup({{"user", "scram"}, {"database", "postgres"}}));
    c.read([](const std::string& got) { return !got.empty(); });
    c.send(reply);
    EXPECT_EQ(c.read_all().substr(0, 1), "E");
    EXPECT_TRUE(c.closed());
  }
  // SCRAM messages whose inner lengths wrap or lie are the server's to refuse; we must only survive them.
  for (const std::string& length :
       {std::string("\xff\xff\xff\xff", 4), std::string("\x7f\xff\xff\xff", 4), std::string("\0\0\0\x09", 4)}) {
    Raw c(edge_->port());
    c.send(startup({{"user", "scram"}, {"database", "postgres"}}));
    c.read([](const std::string& got) { return !got.empty(); });
    c.send(message('p', std::string("SCRAM-SHA-256\0", 14) + length + "n,,n=,r=x"));
    c.send(message('p', "c=biws,r=x,p=x"));
    EXPECT_NE(c.read_all().find("E"), std::string::npos);
  }
}

TEST_F(PgHostile, broken_messages_end_their_session_only) {
  for (const std::string& bytes :
       {std::string("\x01\x02\x03\x04\x05\x06"), std::string("Q\0\0\0\0", 5), std::string("Q\xff\xff\xff\xff", 5),
        message('Q', "no end"), message('P', "no end"), message('D', "Z"), message('p', "late password"),
        message('S', std::string(20'000, 's'))}) {
    Raw c(edge_->port());
    c.send(startup({{"user", "postgres"}}));
    ASSERT_TRUE(is_ready(c.read(is_ready)));
    c.send(bytes);
    const auto answer = c.read_all();
    ASSERT_FALSE(answer.empty());
    EXPECT_EQ(decode_error(std::string_view(answer).substr(5)).sqlstate, "08P01");
  }
  EXPECT_TRUE(eventually([&] { return edge_->report().sessions == 0; }));
  EXPECT_EQ(edge_->report().in_flight, 0);
}

TEST_F(PgHostile, a_large_length_alone_takes_no_memory_and_no_leave) {
  std::vector<std::unique_ptr<Raw>> many;
  for (int i = 0; i < 50; ++i) {
    many.push_back(std::make_unique<Raw>(edge_->port()));
    many.back()->send(startup({{"user", "postgres"}}));
    ASSERT_TRUE(is_ready(many.back()->read(is_ready)));
    many.back()->send(std::string("Q\x3f\xff\xff\xff", 5) + "SELECT");
  }
  // The last login's own leave may take a moment to end.
  EXPECT_TRUE(eventually([&] { return edge_->report().in_flight == 0; }))
      << "a statement that has not arrived is not in flight";
}

TEST_F(PgHostile, wrong_cancel_keys_are_ignored) {
  Client c(edge_->port());
  const auto real = c.query("SELECT pg_backend_pid()").value;
  ASSERT_EQ(PQsendQuery(c.raw(), "SELECT pg_sleep(0.6)"), 1);
  const auto shown = static_cast<std::uint32_t>(PQbackendPID(c.raw()));
  for (std::uint32_t pid : {shown, static_cast<std::uint32_t>(std::stoi(real)), 0U, 0xffffffffU})
    for (const std::string& secret : {std::string(4, '\0'), std::string("abcd"), std::string(256, 'x')}) {
      Raw flood(edge_->port());
      flood.send(cancel_request({pid, secret}));
      EXPECT_EQ(flood.read_all(), "");
      EXPECT_TRUE(flood.closed());
    }
  EXPECT_TRUE(c.take(PQgetResult(c.raw())).ok);
  while (PGresult* r = PQgetResult(c.raw())) PQclear(r);
}

TEST_F(PgHostile, a_client_that_does_not_read_slows_only_itself) {
  Raw greedy(edge_->port());
  greedy.send(startup({{"user", "postgres"}}));
  ASSERT_TRUE(is_ready(greedy.read(is_ready)));
  greedy.send(query("SELECT repeat('x', 1000000) FROM generate_series(1, 200)"));
  Client well(edge_->port());
  for (int i = 0; i < 100; ++i) ASSERT_EQ(well.query("SELECT 1").value, "1");
}

}  // namespace
}  // namespace foreshadow
