// TLS in the configuration: what the text says, and what the files hold.
#include <gtest/gtest.h>

#include "config/declared_kinds.hpp"
#include "support/certificates.hpp"
#include "support/temp_dir.hpp"

namespace foreshadow::config {
namespace {

using foreshadow::testing::Authority;
using foreshadow::testing::write;

std::string file(const std::string& listener, const std::string& kind = "http") {
  return "version: 1\nstate_dir: /tmp/s\ngateways: [{name: edge}]\nresources:\n  - name: shop\n    kind: " + kind +
         "\n    listen: 127.0.0.1:8443\n    gateways: [edge]\n    primary: {id: a, address: 127.0.0.1:9001, data_dir: "
         "/d}\n" +
         "    listener:\n" + listener;
}

std::string refusal(const std::string& listener, const std::string& kind = "http") {
  const auto config = parse_declared(file(listener, kind));
  return config ? "accepted" : config.error().what;
}

TEST(TlsConfig, IsRead) {
  const auto config = parse_declared(file(
      "      proxy_protocol: required\n      tls:\n        certificates:\n          - {certificate_file: shop.pem, "
      "key_file: /k/shop.key}\n        client_certificates: request\n        client_ca_file: ca.pem\n"
      "        check_interval: 5s\n"));
  ASSERT_TRUE(config) << config.error().what;
  const auto& listener = config->resources.front().listener;
  EXPECT_TRUE(listener.proxy_protocol);
  EXPECT_EQ(listener.tls_check_interval, Millis{5000});
  EXPECT_EQ(listener.tls.certificates,
            (std::vector<io::CertificateFiles>{{"/etc/foreshadow/shop.pem", "/k/shop.key"}}));
  EXPECT_EQ(listener.tls.client_certificates, io::ClientCertificates::request);
  EXPECT_EQ(listener.tls.client_ca_file, "/etc/foreshadow/ca.pem");
}

TEST(TlsConfig, MistakesHavePlacesAndMends) {
  EXPECT_EQ(refusal("      tls: {certificates: [{certificate_file: a.pem}]}\n"),
            "f.yaml:11:28: key_file: missing in resources.listener.tls.certificates; add it");
  EXPECT_EQ(refusal("      tls: {}\n"), "f.yaml:11:12: certificates: missing in resources.listener.tls; add it");
  EXPECT_EQ(refusal("      tls: {certificates: []}\n"),
            "f.yaml:11:27: certificates: the list is empty; name at least one, or remove tls:");
  const std::string pair = "certificates: [{certificate_file: a.pem, key_file: a.key}]";
  EXPECT_EQ(refusal("      tls: {" + pair + ", client_certificates: require}\n"),
            "f.yaml:11:94: client_certificates: nobody is named who vouches for clients; add client_ca_file:");
  EXPECT_EQ(refusal("      tls: {" + pair + ", client_ca_file: ca.pem}\n"),
            "f.yaml:11:89: client_ca_file: clients are not asked for certificates; add client_certificates: require");
  EXPECT_EQ(refusal("      proxy_protocol: optional\n"),
            "f.yaml:11:23: proxy_protocol: 'optional' is not known; write one of: off, required");
  EXPECT_EQ(refusal("      tls: {" + pair + "}\n", "postgres"), "accepted");
  EXPECT_EQ(refusal("      proxy_protocol: required\n", "postgres"),
            "f.yaml:11:23: proxy_protocol: listeners of kind postgres do not speak it; remove the key");
}

TEST(TlsConfig, FilesAreOnlyLookedAtWhenAskedFor) {
  foreshadow::testing::TempDir dir;
  const Authority authority;
  const auto shop = authority.issue({"shop.test"});
  write(dir / "shop.pem", shop.certificate);
  write(dir / "shop.key", shop.key);
  write(dir / "other.key", authority.issue({"shop.test"}).key);
  const auto kinds = declared_kinds();
  const auto ask = [&](const std::string& certificate, const std::string& key, const std::string& ca = "") {
    const auto text =
        file("      tls:\n        certificates:\n          - certificate_file: " + certificate +
             "\n            key_file: " + key + "\n" +
             (ca.empty() ? "" : "        client_certificates: require\n        client_ca_file: " + ca + "\n"));
    EXPECT_TRUE(parse(text, "f.yaml", dir.path(), kinds));
    const auto config = parse(text, "f.yaml", dir.path(), kinds, nullptr, Ask::files);
    return config ? "accepted" : config.error().what;
  };
  EXPECT_EQ(ask("shop.pem", "shop.key"), "accepted");
  EXPECT_EQ(ask("shop.pem", "shop.key", "shop.pem"), "accepted");
  EXPECT_TRUE(ask("none.pem", "shop.key")
                  .starts_with("f.yaml:13:31: certificate_file: '" + (dir / "none.pem") + "' cannot be read: "));
  EXPECT_TRUE(
      ask("shop.pem", "none.key").starts_with("f.yaml:14:23: key_file: '" + (dir / "none.key") + "' cannot be read: "));
  EXPECT_EQ(ask("shop.pem", "other.key"),
            "f.yaml:14:23: key_file: '" + (dir / "other.key") +
                "' is not the key of this certificate; name the pair that was made together");
  EXPECT_EQ(ask("shop.pem", "shop.key", "shop.key"),
            "f.yaml:16:25: client_ca_file: '" + (dir / "shop.key") +
                "' holds no certificate; it must be PEM, with -----BEGIN CERTIFICATE-----");
}

}  // namespace
}  // namespace foreshadow::config
