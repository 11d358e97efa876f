// What tests over the gateway cannot reach: both roles against each other, and files that are no good.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <set>

#include "io/file_watch.hpp"
#include "io/tls_context.hpp"
#include "io/tls_files.hpp"
#include "support/certificates.hpp"
#include "support/eventually.hpp"
#include "support/temp_dir.hpp"

namespace foreshadow::io {
namespace {

using foreshadow::testing::Authority;
using foreshadow::testing::eventually;
using foreshadow::testing::Issued;
using foreshadow::testing::write;
using Step = TlsStream::Step;

struct Tls : ::testing::Test {
  foreshadow::testing::TempDir dir;
  Authority authority;
  int ends[2] = {-1, -1};

  Tls() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0); }
  ~Tls() override {
    for (const int fd : ends)
      if (fd >= 0) close(fd);
  }
  // Nothing is left on the way of those who shake hands next.
  void reconnect() {
    for (const int fd : ends) close(fd);
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
  }
  CertificateFiles save(const Issued& issued, const std::string& name = "x") {
    write(dir / (name + ".pem"), issued.certificate);
    write(dir / (name + ".key"), issued.key);
    return {dir / (name + ".pem"), dir / (name + ".key")};
  }
  std::string ca() {
    write(dir / "ca.pem", authority.pem());
    return dir / "ca.pem";
  }
  // Both handshakes, in turns; the steps they ended with.
  std::pair<Step, Step> shake(TlsStream& client, TlsStream& server) {
    Step c = Step::want_read, s = Step::want_read;
    const auto waits = [](Step step) { return step == Step::want_read || step == Step::want_write; };
    for (int i = 0; i < 20 && (waits(c) || waits(s)); ++i) {
      if (waits(c)) c = client.handshake(ends[0]);
      if (waits(s)) s = server.handshake(ends[1]);
    }
    return {c, s};
  }
};

TEST_F(Tls, AgreesOnTheBestProtocolOfTheServer) {
  TlsServerSettings settings{.certificates = {save(authority.issue({"a.test"}))}};
  settings.alpn = {"h2", "http/1.1"};
  const auto server = TlsServer::load(settings);
  ASSERT_TRUE(server) << server.error().what;
  TlsClientSettings wish{.ca_file = ca()};
  wish.alpn = {"http/1.1", "h2"};
  const auto client = TlsClient::load(wish);
  ASSERT_TRUE(client);
  const auto c = (*client)->connect("a.test", "p");
  const auto s = (*server)->accept();
  EXPECT_EQ(shake(*c, *s), std::pair(Step::done, Step::done)) << c->why() << s->why();
  EXPECT_EQ(c->alpn(), "h2");
  EXPECT_EQ(s->alpn(), "h2");
}

TEST_F(Tls, MovesBytesAndTellsAnEndFromACut) {
  const auto server = TlsServer::load({.certificates = {save(authority.issue({"a.test"}))}});
  const auto client = TlsClient::load({.ca_file = ca()});
  for (const bool goodbye : {true, false}) {
    const auto c = (*client)->connect("a.test", "p");
    const auto s = (*server)->accept();
    ASSERT_EQ(shake(*c, *s), std::pair(Step::done, Step::done));
    std::size_t count = 0;
    ASSERT_EQ(c->write(ends[0], {"GET ", "/", " x"}, 2, count), Step::done);
    EXPECT_EQ(count, 5U);
    EXPECT_EQ(s->peek(ends[1]), Step::done);
    EXPECT_TRUE(s->pending());
    char buffer[100];
    ASSERT_EQ(s->read(ends[1], buffer, sizeof buffer, count), Step::done);
    EXPECT_EQ(std::string(buffer, count), "T / x");
    EXPECT_EQ(s->read(ends[1], buffer, sizeof buffer, count), Step::want_read);
    EXPECT_EQ(s->peek(ends[1]), Step::want_read);
    if (goodbye) {
      EXPECT_EQ(c->end(ends[0]), Step::done);
    }
    shutdown(ends[0], SHUT_WR);
    EXPECT_EQ(s->read(ends[1], buffer, sizeof buffer, count), goodbye ? Step::closed : Step::truncated);
    close(ends[0]);
    close(ends[1]);
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
  }
}

TEST_F(Tls, AWriteThatDoesNotFitIsTakenUpAgain) {
  const auto server = TlsServer::load({.certificates = {save(authority.issue({"a.test"}))}});
  const auto client = TlsClient::load({.ca_file = ca()});
  const auto c = (*client)->connect("a.test", "p");
  const auto s = (*server)->accept();
  ASSERT_EQ(shake(*c, *s), std::pair(Step::done, Step::done));
  std::string head = "head", body(2 << 20, 'b'), received;
  body[1'000'000] = 'c';
  std::size_t sent = 0;
  std::set<Step> seen;
  while (received.size() < head.size() + body.size()) {
    std::size_t count = 0;
    if (sent < head.size() + body.size()) seen.insert(c->write(ends[0], {head, body, ""}, sent, count));
    sent += count;
    if (count > 0) continue;
    char buffer[16384];
    while (s->read(ends[1], buffer, sizeof buffer, count) == Step::done) received.append(buffer, count);
  }
  EXPECT_TRUE(received == head + body);
  EXPECT_EQ(seen, (std::set{Step::done, Step::want_write}));
}

TEST_F(Tls, SaysWhyACertificateIsNotTaken) {
  const auto refusal = [&](const Issued& issued, const std::string& name, const Authority& trusted) {
    const auto server = TlsServer::load({.certificates = {save(issued)}});
    write(dir / "trusted.pem", trusted.pem());
    const auto client = TlsClient::load({.ca_file = dir / "trusted.pem"});
    const auto c = (*client)->connect(name, "p");
    const auto s = (*server)->accept();
    EXPECT_EQ(shake(*c, *s).first, Step::failed);
    return c->why();
  };
  EXPECT_EQ(refusal(authority.issue({"a.test"}), "b.test", authority), "certificate verify failed: hostname mismatch");
  EXPECT_EQ(refusal(authority.issue({"a.test"}), "127.0.0.1", authority),
            "certificate verify failed: IP address mismatch");
  EXPECT_EQ(refusal(authority.issue({"a.test"}, -10), "a.test", authority),
            "certificate verify failed: certificate has expired");
  EXPECT_EQ(refusal(authority.issue({"a.test"}), "a.test", Authority("Other")),
            "certificate verify failed: unable to get local issuer certificate");
}

TEST_F(Tls, AnAuthorityMayBeTrustedUnderAnyName) {
  const auto shaken = [&](const Issued& issued, const Authority& trusted) {
    reconnect();
    const auto server = TlsServer::load({.certificates = {save(issued)}});
    write(dir / "trusted.pem", trusted.pem());
    const auto client = TlsClient::load({.ca_file = dir / "trusted.pem"});
    const auto c = (*client)->connect("b.test", "p", {}, TlsClient::NameCheck::off);
    const auto s = (*server)->accept();
    const auto step = shake(*c, *s).first;
    return step == Step::done ? "taken" : c->why();
  };
  EXPECT_EQ(shaken(authority.issue({"a.test"}), authority), "taken");
  EXPECT_EQ(shaken(authority.issue({"a.test"}), Authority("Other")),
            "certificate verify failed: unable to get local issuer certificate");
  EXPECT_EQ(shaken(authority.issue({"a.test"}, -10), authority), "certificate verify failed: certificate has expired");
}

TEST_F(Tls, KnowsWhoItsPeerSaysItIs) {
  const auto server = TlsServer::load({.certificates = {save(authority.issue({"a.test"}))},
                                       .client_certificates = ClientCertificates::request,
                                       .client_ca_file = ca()});
  ASSERT_TRUE(server) << server.error().what;
  for (const std::string name : {"alice", "z\xc3\xbcrich", ""}) {
    reconnect();
    TlsClientSettings wish{.ca_file = ca()};
    if (!name.empty()) wish.certificate = save(authority.issue({name}), "client");
    const auto client = TlsClient::load(wish);
    ASSERT_TRUE(client) << client.error().what;
    const auto c = (*client)->connect("a.test", "p");
    const auto s = (*server)->accept();
    EXPECT_EQ(shake(*c, *s), std::pair(Step::done, Step::done)) << c->why() << s->why();
    EXPECT_EQ(s->peer_common_name(), name);
    EXPECT_EQ(c->peer_common_name(), "a.test");
  }
}

TEST_F(Tls, NothingIsNoServerName) {
  const auto client = TlsClient::load({.ca_file = ca()});
  EXPECT_EQ((*client)->connect("", "p"), nullptr);
  EXPECT_EQ((*client)->connect(std::string(300, 'a'), "p"), nullptr);
  EXPECT_EQ((*client)->connect(std::string("a.test\0.evil", 12), "p"), nullptr);
}

TEST_F(Tls, SaysWhatIsWrongWithAFile) {
  const auto files = save(authority.issue({"a.test"}));
  const auto other = save(authority.issue({"a.test"}), "other");
  const auto text = [](const auto& result) { return result ? std::string("taken") : result.error().what; };
  EXPECT_EQ(text(TlsServer::load({.certificates = {{files.certificate_file, other.key_file}}})),
            "'" + other.key_file + "' is not the key of this certificate; name the pair that was made together");
  EXPECT_EQ(text(read_certificate(files.key_file)),
            "'" + files.key_file + "' holds no certificate; it must be PEM, with -----BEGIN CERTIFICATE-----");
  EXPECT_EQ(text(read_private_key(files.certificate_file)),
            "'" + files.certificate_file + "' holds no private key; it must be PEM, with -----BEGIN PRIVATE KEY-----");
  write(dir / "locked.key", foreshadow::testing::locked(authority.issue({"a.test"})));
  EXPECT_EQ(text(read_private_key(dir / "locked.key")),
            "'" + (dir / "locked.key") +
                "' is locked with a passphrase; write the key without one, readable only by the gateway");
  EXPECT_EQ(text(read_private_key(dir / "none")).substr(0, 1), "'");
  EXPECT_NE(text(read_private_key(dir / "none")).find("No such file"), std::string::npos);
  write(dir / "cut.pem", authority.pem().substr(0, 200));
  EXPECT_NE(text(read_certificate(dir / "cut.pem")).find("is damaged"), std::string::npos)
      << text(read_certificate(dir / "cut.pem"));
  write(dir / "cut.key", authority.issue({"a.test"}).key.substr(0, 100));
  const auto cut = text(read_private_key(dir / "cut.key"));
  EXPECT_NE(cut.find("is damaged"), std::string::npos) << cut;
}

TEST_F(Tls, ReadsWhomACertificateIsFor) {
  const auto files = save(authority.issue({"Shop.test", "*.wild.test", "127.0.0.1"}));
  const auto certificate = read_certificate(files.certificate_file);
  ASSERT_TRUE(certificate);
  EXPECT_EQ(certificate->names, (std::vector<std::string>{"shop.test", "*.wild.test"}));
  EXPECT_EQ(certificate->warning, "");
  const auto late = read_certificate(save(authority.issue({"a.test"}, -10)).certificate_file);
  EXPECT_TRUE(late->warning.starts_with("expired on ")) << late->warning;
}

TEST(FileWatch, SeesChangesReplacementsAndFilesThatGo) {
  foreshadow::testing::TempDir dir;
  write(dir / "a", "1");
  std::atomic<int> calls = 0;
  std::atomic<bool> content = true;
  FileWatch watch({dir / "a", dir / "b"}, Millis{5}, [&] {
    ++calls;
    return content.load();
  });
  const auto noticed = [&](auto change) {
    const int before = calls;
    change();
    return eventually([&] { return calls > before; });
  };
  EXPECT_TRUE(noticed([&] { write(dir / "a", "22"); }));
  EXPECT_TRUE(noticed([&] { write(dir / "b", "1"); }));
  EXPECT_TRUE(noticed([&] {
    write(dir / "c", "33");
    ASSERT_EQ(rename((dir / "c").c_str(), (dir / "a").c_str()), 0);
  }));
  content = false;
  EXPECT_TRUE(noticed([&] { unlink((dir / "b").c_str()); }));
  const int discontent = calls;
  EXPECT_TRUE(eventually([&] { return calls >= discontent + 3; })) << "asked again until content";
}

}  // namespace
}  // namespace foreshadow::io
