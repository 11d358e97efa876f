// TLS at PostgreSQL's: from clients, to servers, on both sides at once, and while sessions move. libpq and PostgreSQL
// itself are the other ends wherever they can be.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>

#include "edge.hpp"
#include "raw.hpp"
#include "support/certificates.hpp"

namespace foreshadow {
namespace {

using namespace foreshadow::testing;
using namespace foreshadow::kinds::pg_gateway;

bool ready(const std::string& got) { return got.find(std::string("Z\0\0\0\5I", 6)) != std::string::npos; }

class PgTls : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(PgCluster::available()) << "no PostgreSQL server is installed: ./dev setup";
    save("ca.pem", authority_.pem());
    save("stranger.pem", stranger_.pem());
    issue("gateway", {"localhost", "127.0.0.1"});
    issue("server", {"db.test", "127.0.0.1"});
    issue("postgres", {"postgres"});
    issue("scram", {"scram"});
    save("foreign.pem", stranger_.issue({"postgres"}));
    const auto& key = path("server.key");
    ASSERT_EQ(chown(key.c_str(), PgCluster::uid(), PgCluster::gid()), 0);
    options_.hba = {"hostssl all scram 127.0.0.1/32 scram-sha-256", "host all scram 127.0.0.1/32 scram-sha-256",
                    "hostssl all postgres 127.0.0.1/32 trust", "hostssl all cert 127.0.0.1/32 cert"};
    server_.init(data_.path(), options_);
    server_.start();
    server_.exec("CREATE ROLE scram LOGIN SUPERUSER PASSWORD 'secret'; CREATE ROLE cert LOGIN");
  }
  void TearDown() override { edge_.reset(); }

  std::string path(const std::string& name) const { return files_.path() + "/" + name; }
  void save(const std::string& name, const std::string& text) const {
    write(path(name), text);
    // libpq and the server take no key that others may read.
    ASSERT_EQ(chmod(path(name).c_str(), name.ends_with(".key") ? 0600 : 0644), 0);
  }
  void save(const std::string& name, const Issued& issued) const {
    save(name, issued.certificate);
    save(std::filesystem::path(name).stem().string() + ".key", issued.key);
  }
  void issue(const std::string& name, const std::vector<std::string>& names, long valid_seconds = 3600) const {
    save(name + ".pem", authority_.issue(names, valid_seconds));
  }
  // The server's end of TLS, from here on.
  void server_speaks_tls(PgCluster& server, const std::string& certificate = "server") const {
    server.set("ssl_cert_file", path(certificate + ".pem"));
    server.set("ssl_key_file", path(certificate + ".key"));
    server.set("ssl_ca_file", path("ca.pem"));
    server.set("ssl", "on");
    server.reload();
    ASSERT_TRUE(eventually([&] { return server.exec("SHOW ssl") == "on"; }));
  }
  proxy::ListenerSettings settings(const std::string& clients, const std::string& upstream = "off") const {
    auto s = settings_of(instance_of(server_, "a", true));
    s.tls_check_interval = Millis{50};
    if (clients != "off") {
      s.tls.certificates = {{path("gateway.pem"), path("gateway.key")}};
      if (clients.starts_with("verify")) {
        s.tls.client_certificates = io::ClientCertificates::require;
        s.tls.client_ca_file = path("ca.pem");
      }
      s.options["client_tls"] = clients;
    }
    s.options["upstream_tls"] = upstream;
    if (upstream.starts_with("verify")) s.options["upstream_ca_file"] = path("ca.pem");
    return s;
  }
  void open(proxy::ListenerSettings settings) {
    edge_.reset();
    edge_ = std::make_unique<Edge>(std::move(settings));
  }
  std::string verifying(const std::string& ca = "ca.pem") const {
    return "sslmode=verify-full sslrootcert=" + path(ca) + " ";
  }
  std::string showing(const std::string& name, const std::string& key = {}) const {
    return "sslcert=" + path(name + ".pem") + " sslkey=" + path((key.empty() ? name : key) + ".key") + " ";
  }
  // Whether the session's own server has it under TLS.
  static std::string upstream_is_secure(Client& c) {
    return c.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").value;
  }

  const Authority authority_, stranger_{"A stranger"};
  PgDirectory files_, data_;
  PgOptions options_;
  PgCluster server_;
  std::unique_ptr<Edge> edge_;
};

TEST_F(PgTls, a_client_verifies_the_gateway_and_speaks_under_tls) {
  open(settings("require"));
  Client c(edge_->port(), verifying());
  ASSERT_TRUE(c.connected()) << c.why();
  EXPECT_EQ(PQsslInUse(c.raw()), 1);
  EXPECT_STREQ(PQsslAttribute(c.raw(), "protocol"), "TLSv1.3");
  EXPECT_EQ(upstream_is_secure(c), "f");
  EXPECT_EQ(c.extended("SELECT $1::int + 1", {"41"}).value, "42");
  EXPECT_EQ(c.query("SELECT nonsense").sqlstate, "42703");
  // Long both ways: more than a record, more than a turn, more than any buffer.
  const std::string text(5'000'000, 'x');
  EXPECT_EQ(c.query("SELECT length('" + text + "')").value, "5000000");
  EXPECT_EQ(c.query("SELECT repeat('y', 5000000)").value, std::string(5'000'000, 'y'));
  Client other(edge_->port(), verifying("stranger.pem"));
  EXPECT_NE(other.why().find("certificate verify failed"), std::string::npos) << other.why();
}

TEST_F(PgTls, copies_and_pipelines_go_both_ways) {
  open(settings("require"));
  Client c(edge_->port(), verifying());
  ASSERT_TRUE(c.query("CREATE TABLE t(id int)").ok);
  PQclear(PQexec(c.raw(), "COPY t FROM STDIN"));
  std::string rows;
  for (int i = 0; i < 200'000; ++i) rows += std::to_string(i) + "\n";
  ASSERT_EQ(PQputCopyData(c.raw(), rows.data(), static_cast<int>(rows.size())), 1);
  ASSERT_EQ(PQputCopyEnd(c.raw(), nullptr), 1);
  while (PGresult* r = PQgetResult(c.raw())) PQclear(r);
  EXPECT_EQ(c.query("SELECT sum(id) FROM t").value, "19999900000");
  PQclear(PQexec(c.raw(), "COPY (SELECT id FROM t ORDER BY id) TO STDOUT"));
  std::string back;
  char* line = nullptr;
  for (int n = 0; (n = PQgetCopyData(c.raw(), &line, 0)) > 0; PQfreemem(line)) back.append(line, std::size_t(n));
  while (PGresult* r = PQgetResult(c.raw())) PQclear(r);
  EXPECT_TRUE(back == rows);
  ASSERT_EQ(PQenterPipelineMode(c.raw()), 1);
  constexpr int many = 2000;
  for (int i = 0; i < many; ++i)
    ASSERT_EQ(PQsendQueryParams(c.raw(), "SELECT 1", 0, nullptr, nullptr, nullptr, nullptr, 0), 1);
  ASSERT_EQ(PQpipelineSync(c.raw()), 1);
  int done = 0;
  for (bool synced = false; !synced;) {
    PGresult* r = PQgetResult(c.raw());
    if (!r) continue;
    done += PQresultStatus(r) == PGRES_TUPLES_OK;
    synced = PQresultStatus(r) == PGRES_PIPELINE_SYNC;
    PQclear(r);
  }
  EXPECT_EQ(done, many);
}

TEST_F(PgTls, who_comes_without_is_told_where_it_is_required) {
  open(settings("require"));
  Client plain(edge_->port(), "sslmode=disable");
  EXPECT_NE(plain.why().find("connections must be encrypted"), std::string::npos) << plain.why();
  open(settings("allow"));
  Client allowed(edge_->port(), "sslmode=disable"), asking(edge_->port(), "sslmode=require");
  EXPECT_TRUE(allowed.connected()) << allowed.why();
  EXPECT_TRUE(asking.connected()) << asking.why();
  EXPECT_EQ(PQsslInUse(allowed.raw()), 0);
  EXPECT_EQ(PQsslInUse(asking.raw()), 1);
}

TEST_F(PgTls, clients_certificates_are_held_against_the_authority_and_the_user) {
  open(settings("verify_ca"));
  // With TLS 1.3 a client learns of it only with the first answer, which libpq may see as an end alone.
  EXPECT_FALSE(Client(edge_->port(), verifying()).connected());
  EXPECT_FALSE(Client(edge_->port(), verifying() + showing("foreign")).connected());
  Client scram(edge_->port(), verifying() + showing("scram"));
  EXPECT_TRUE(scram.connected()) << scram.why();
  open(settings("verify_full"));
  Client other(edge_->port(), verifying() + showing("scram"));
  EXPECT_NE(other.why().find("certificate authentication failed for user \"postgres\""), std::string::npos)
      << other.why();
  Client right(edge_->port(), verifying() + showing("postgres"));
  EXPECT_TRUE(right.connected()) << right.why();
}

TEST_F(PgTls, tls_without_a_request_is_taken_from_who_names_the_protocol) {
  open(settings("require"));
  Raw socket(edge_->port());
  RawTls direct(socket, "postgresql");
  ASSERT_TRUE(direct.ok());
  direct.send(startup({{"user", "postgres"}, {"database", "postgres"}}));
  EXPECT_TRUE(ready(direct.read(ready)));
  direct.send(query("SELECT 7"));
  EXPECT_NE(direct.read(ready).find('7'), std::string::npos);
  // No protocol named, or another one: nobody who means us.
  Raw nameless_socket(edge_->port()), other_socket(edge_->port());
  RawTls nameless(nameless_socket), other(other_socket, "http/1.1");
  nameless.send(startup({{"user", "postgres"}}));
  EXPECT_EQ(nameless.read_all(), "");
  EXPECT_TRUE(nameless.said_goodbye());
  EXPECT_FALSE(other.ok());
  // Where there is no TLS it is not taken for a startup packet of 369 MB.
  open(settings("off"));
  Raw off(edge_->port());
  off.send("\x16\x03\x01\x02\x00\x01");
  EXPECT_EQ(off.read_all(), "");
  EXPECT_TRUE(off.closed());
}

TEST_F(PgTls, what_is_sent_along_in_the_plain_is_never_read_as_encrypted) {
  open(settings("allow"));
  const auto hello = startup({{"user", "postgres"}});
  Raw stuffed(edge_->port());
  stuffed.send(ssl_request() + hello);
  EXPECT_EQ(stuffed.read_all().substr(0, 1), "E");
  // Behind the answer it meets TLS, which takes it for no record.
  Raw late(edge_->port());
  late.send(ssl_request());
  EXPECT_EQ(late.read([](const std::string& got) { return !got.empty(); }), "S");
  late.send(hello);
  const auto said = late.read_all();
  EXPECT_TRUE(said.empty() || said[0] == '\x15') << "an alert, and nothing of PostgreSQL's";
  EXPECT_TRUE(late.closed());
  // Nor is encryption asked for within encryption.
  Raw socket(edge_->port());
  socket.send(ssl_request());
  socket.read([](const std::string& got) { return !got.empty(); });
  RawTls within(socket);
  ASSERT_TRUE(within.ok());
  within.send(ssl_request());
  EXPECT_EQ(within.read_all().substr(0, 1), "E");
  EXPECT_TRUE(within.said_goodbye());
}

TEST_F(PgTls, a_handshake_that_stalls_ends_at_the_header_timeout) {
  auto s = settings("require");
  s.header_timeout = Millis{300};
  open(std::move(s));
  Raw asked(edge_->port()), direct(edge_->port()), silent(edge_->port());
  asked.send(ssl_request());
  direct.send("\x16\x03\x01");
  for (auto* raw : {&asked, &direct, &silent}) {
    raw->read_all();
    EXPECT_TRUE(raw->closed());
  }
  EXPECT_TRUE(eventually([&] { return edge_->report().sessions == 0; }));
}

TEST_F(PgTls, a_cancel_comes_under_tls_and_in_the_plain) {
  server_speaks_tls(server_);
  for (const std::string upstream : {"off", "verify_full"}) {
    open(settings("require", upstream));
    for (const bool secure : {true, false}) {
      Raw socket(edge_->port());
      RawTls session(socket, "postgresql");
      ASSERT_TRUE(session.ok());
      session.send(startup({{"user", "postgres"}, {"database", "postgres"}}));
      const auto greeting = session.read(ready);
      const auto at = greeting.find(std::string("K\0\0\0\x0c", 5));
      ASSERT_NE(at, std::string::npos);
      const auto key = decode_backend_key(std::string_view(greeting).substr(at + 5, 8));
      ASSERT_TRUE(key);
      session.send(query("SELECT pg_sleep(60)"));
      ASSERT_TRUE(eventually([&] {
        return server_.exec(
                   "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND state = 'active' "
                   "AND pid <> pg_backend_pid()") == "1";
      }));
      Raw canceller(edge_->port());
      if (secure) {
        RawTls tls(canceller, "postgresql");
        ASSERT_TRUE(tls.ok());
        tls.send(cancel_request(*key));
        EXPECT_EQ(tls.read_all(), "");
      } else {
        canceller.send(cancel_request(*key));
        EXPECT_EQ(canceller.read_all(), "");
      }
      EXPECT_NE(session.read(ready).find("57014"), std::string::npos) << upstream << secure;
    }
  }
}

TEST_F(PgTls, renewed_certificates_are_shown_to_who_comes_next) {
  open(settings("require"));
  Client before(edge_->port(), verifying());
  ASSERT_TRUE(before.connected()) << before.why();
  const auto shown = [&] {
    Raw socket(edge_->port());
    return RawTls(socket, "postgresql").peer();
  };
  EXPECT_EQ(shown(), "localhost");
  // A key that is not the certificate's: what is in use stays in use.
  save("gateway.key", authority_.issue({"renewed", "127.0.0.1"}).key);
  std::this_thread::yield();
  EXPECT_EQ(shown(), "localhost");
  issue("gateway", {"renewed", "127.0.0.1"});
  EXPECT_TRUE(eventually([&] { return shown() == "renewed"; }));
  EXPECT_EQ(before.query("SELECT 1").value, "1") << "sessions go on with what they began with";
  EXPECT_TRUE(Client(edge_->port(), verifying()).connected());
}

TEST_F(PgTls, a_server_is_asked_for_it_as_far_as_the_option_says) {
  open(settings("off", "prefer"));
  {
    Client c(edge_->port());
    EXPECT_EQ(upstream_is_secure(c), "f") << c.why();
  }
  open(settings("off", "require"));
  Client refused(edge_->port());
  EXPECT_NE(refused.why().find("the server speaks no TLS"), std::string::npos) << refused.why();
  server_speaks_tls(server_);
  for (const std::string mode : {"prefer", "require", "verify_ca", "verify_full"}) {
    open(settings("off", mode));
    Client c(edge_->port());
    EXPECT_EQ(upstream_is_secure(c), "t") << mode << c.why();
    EXPECT_EQ(PQsslInUse(c.raw()), 0);
    EXPECT_EQ(c.query("SELECT repeat('y', 5000000)").value, std::string(5'000'000, 'y'));
  }
}

TEST_F(PgTls, a_server_that_cannot_prove_who_it_is_gets_nothing) {
  server_speaks_tls(server_);
  const auto why = [&](proxy::ListenerSettings s) {
    open(std::move(s));
    return Client(edge_->port()).why();
  };
  auto s = settings("off", "verify_full");
  s.options["upstream_server_name"] = "other.test";
  EXPECT_NE(why(s).find("hostname mismatch"), std::string::npos) << why(s);
  s.options["upstream_server_name"] = "db.test";
  EXPECT_EQ(why(s), "");
  s.primary.attributes["tls_server_name"] = "other.test";
  EXPECT_NE(why(s).find("hostname mismatch"), std::string::npos) << "the instance's own name outranks";
  s.options["upstream_tls"] = "verify_ca";
  EXPECT_EQ(why(s), "");
  s.options["upstream_ca_file"] = path("stranger.pem");
  EXPECT_NE(why(s).find("certificate verify failed"), std::string::npos) << why(s);
  issue("old", {"127.0.0.1"}, -60);
  ASSERT_EQ(chown(path("old.key").c_str(), PgCluster::uid(), PgCluster::gid()), 0);
  server_speaks_tls(server_, "old");
  const auto expired = [&] {
    return why(settings("off", "verify_full")).find("certificate has expired") != std::string::npos;
  };
  EXPECT_TRUE(eventually(expired)) << why(settings("off", "verify_full"));
}

TEST_F(PgTls, our_own_certificate_is_shown_to_a_server_that_asks) {
  server_speaks_tls(server_);
  issue("cert", {"cert"});
  auto s = settings("off", "verify_full");
  open(s);
  Client without(edge_->port(), "user=cert");
  EXPECT_NE(without.why().find("valid client certificate"), std::string::npos) << without.why();
  s.options["upstream_certificate_file"] = path("cert.pem");
  s.options["upstream_key_file"] = path("cert.key");
  open(s);
  Client with(edge_->port(), "user=cert");
  EXPECT_EQ(with.query("SELECT current_user").value, "cert") << with.why();
}

// What answers a request for TLS with neither yes nor no, or breaks off, is not gone on with in the plain.
TEST_F(PgTls, nothing_follows_where_tls_did_not_come_about) {
  for (const std::string answer : {"E", "X", "Sno TLS at all", ""}) {
    const int door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    ASSERT_EQ(bind(door, reinterpret_cast<sockaddr*>(&at), size), 0);
    ASSERT_EQ(listen(door, 64), 0);
    ASSERT_EQ(getsockname(door, reinterpret_cast<sockaddr*>(&at), &size), 0);
    std::string heard;
    std::thread server([&] {
      for (int fd = -1; (fd = accept(door, nullptr, nullptr)) >= 0; ::close(fd)) {
        char buffer[512];
        auto n = recv(fd, buffer, sizeof buffer, 0);
        EXPECT_EQ(std::string(buffer, n > 0 ? std::size_t(n) : 0), ssl_request());
        static_cast<void>(send(fd, answer.data(), answer.size(), MSG_NOSIGNAL));
        while (!answer.empty() && (n = recv(fd, buffer, sizeof buffer, 0)) > 0) heard.append(buffer, std::size_t(n));
      }
    });
    auto s = settings("off", "prefer");
    s.primary.endpoint.port = ntohs(at.sin_port);
    open(s);
    Client c(edge_->port());
    EXPECT_FALSE(c.connected());
    EXPECT_NE(c.why().find("no server to log in to"), std::string::npos) << c.why();
    edge_.reset();
    shutdown(door, SHUT_RDWR);
    server.join();
    ::close(door);
    EXPECT_EQ(heard.find(std::string("user\0postgres", 13)), std::string::npos) << "the startup packet went out in the plain";
  }
}

TEST_F(PgTls, over_a_unix_socket_there_is_none) {
  server_speaks_tls(server_);
  auto s = settings("require", "verify_full");
  s.primary = instance_of(server_, "a");
  open(s);
  Client c(edge_->port(), verifying());
  EXPECT_EQ(upstream_is_secure(c), "f") << c.why();
}

TEST_F(PgTls, scram_is_relayed_and_binds_no_channel) {
  server_speaks_tls(server_);
  const std::string scram = "user=scram password=secret ";
  open(settings("require"));
  Client in(edge_->port(), scram + verifying());
  EXPECT_TRUE(in.connected()) << in.why();
  Client bound(edge_->port(), scram + verifying() + "channel_binding=require");
  EXPECT_NE(bound.why().find("channel binding"), std::string::npos) << bound.why();
  open(settings("off", "verify_full"));
  Client out(edge_->port(), scram);
  EXPECT_EQ(upstream_is_secure(out), "t") << out.why();
  // Both: a client that could bind says so under its proof, and no server lets that pass.
  open(settings("require", "verify_full"));
  Client both(edge_->port(), scram + verifying());
  EXPECT_NE(both.why().find("SCRAM cannot be relayed between two TLS connections"), std::string::npos) << both.why();
  EXPECT_NE(both.why().find("channel_binding=disable"), std::string::npos) << both.why();
  Client unbound(edge_->port(), scram + verifying() + "channel_binding=disable");
  EXPECT_EQ(upstream_is_secure(unbound), "t") << unbound.why();
  Client wrong(edge_->port(), "user=scram password=wrong " + verifying() + "channel_binding=disable");
  EXPECT_NE(wrong.why().find("password authentication failed"), std::string::npos) << wrong.why();
}

TEST_F(PgTls, sessions_move_with_tls_on_both_sides) {
  server_speaks_tls(server_);
  server_.exec("CREATE TABLE t(id serial PRIMARY KEY, client int, n int)");
  PgDirectory data;
  PgCluster standby;
  standby.basebackup_from(server_, data.path(), options_);
  standby.start();
  standby.wait_caught_up(server_);
  ASSERT_EQ(standby.exec("SHOW ssl"), "on");
  save("passwords", std::string("*:*:*:scram:secret\n"));
  ASSERT_EQ(chmod(path("passwords").c_str(), 0600), 0);
  auto s = settings("verify_ca", "verify_full");
  s.options["password_file"] = path("passwords");
  open(s);
  const auto a = instance_of(server_, "a", true), b = instance_of(standby, "b", true);
  const std::string secure = verifying() + showing("postgres");
  Client idle(edge_->port(), secure), own(edge_->port(), secure + "user=scram password=secret channel_binding=disable");
  ASSERT_TRUE(idle.query("SET work_mem = '9MB'").ok) << idle.why();
  ASSERT_TRUE(own.query("SELECT 1").ok) << own.why();
  edge_->put_in_force(table_of(0, 1, a, b));

  constexpr int clients = 4;
  std::atomic<bool> stop = false, moved = false;
  std::atomic<int> committed = 0, since = 0;
  std::mutex mutex;
  std::string first_error;
  std::vector<std::thread> load;
  for (int i = 0; i < clients; ++i)
    load.emplace_back([&, i] {
      Client c(edge_->port(), secure);
      for (int n = 0; !stop; ++n) {
        const Answer answers[] = {
            c.query("BEGIN"),
            c.extended("INSERT INTO t(client, n) VALUES ($1, $2)", {std::to_string(i), std::to_string(n)}),
            c.query("COMMIT")};
        for (const auto& answer : answers) {
          if (answer.ok) continue;
          const std::lock_guard lock(mutex);
          if (first_error.empty()) first_error = answer.sqlstate + " " + answer.error + c.why();
          return;
        }
        ++committed;
        if (moved) ++since;
      }
    });
  const auto failed = [&] {
    const std::lock_guard lock(mutex);
    return !first_error.empty();
  };
  EXPECT_TRUE(eventually([&] { return committed > 100 || failed(); }));
  EXPECT_TRUE(eventually([&] {
    return standby.exec(
               "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND "
               "backend_type = 'client backend'") == std::to_string(clients + 2);
  })) << "warm connections are under TLS, too";
  EXPECT_EQ(edge_->unmovable(), 0) << edge_->why_unmovable();
  HoldPolicy policy;
  policy.lease = policy.park_max = Millis{20'000};
  policy.budget = Millis{3000};
  const auto held = edge_->hold(1, policy);
  EXPECT_TRUE(held) << held.error().what;
  standby.wait_caught_up(server_);
  EXPECT_TRUE(edge_->seal(1));
  server_.kill();
  standby.promote();
  edge_->put_in_force(table_of(1, 1, b));
  moved = true;
  EXPECT_TRUE(eventually([&] { return since > 100 || failed(); }));
  stop = true;
  for (auto& thread : load) thread.join();
  EXPECT_EQ(first_error, "");
  EXPECT_EQ(standby.exec("SELECT count(*) FROM t"), std::to_string(committed));
  EXPECT_EQ(idle.query("SHOW work_mem").value, "9MB");
  EXPECT_EQ(upstream_is_secure(idle), "t");
  EXPECT_EQ(own.query("SELECT current_user").value, "scram");
  EXPECT_EQ(upstream_is_secure(own), "t");
}

}  // namespace
}  // namespace foreshadow
