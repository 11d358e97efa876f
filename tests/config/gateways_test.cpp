// More than one gateway in front of a resource.
#include <gtest/gtest.h>

#include "config/declared_kinds.hpp"

namespace foreshadow::config {
namespace {

std::string file(const std::string& path, const std::string& more = "") {
  return "version: 1\nstate_dir: s\ngateways: [{name: a}, {name: b}]\nresources:\n  - name: shop\n    kind: http\n" +
         path + "    primary: {id: p, address: 127.0.0.1:9001}\n" + more;
}
std::string refusal(const std::string& text) {
  const auto config = parse_declared(text);
  return config ? "accepted" : config.error().what;
}

TEST(Gateways, EachMayHaveAnAddressOfItsOwn) {
  const auto config = parse_declared(
      file("    gateways:\n      - {name: a, listen: 127.0.0.1:8080}\n      - {name: b, listen: 127.0.0.1:8081}\n"));
  ASSERT_TRUE(config) << config.error().what;
  const auto& shop = config->resources.front();
  EXPECT_EQ(shop.resource.gateways, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(shop.listen_at("a"), (Endpoint{"127.0.0.1", 8080}));
  EXPECT_EQ(shop.listen_at("b"), (Endpoint{"127.0.0.1", 8081}));
}

TEST(Gateways, OneAddressMayHoldForAllButSome) {
  const auto config =
      parse_declared(file("    listen: 127.0.0.1:8080\n    gateways: [a, {name: b, listen: 127.0.0.1:8081}]\n"));
  ASSERT_TRUE(config) << config.error().what;
  const auto& shop = config->resources.front();
  EXPECT_EQ(shop.listen_at("a").port, 8080);
  EXPECT_EQ(shop.listen_at("b").port, 8081);
  const auto both = parse_declared(file("    listen: 0.0.0.0:8080\n    gateways: [a, b]\n"));
  ASSERT_TRUE(both) << "two networks that share a state directory";
  EXPECT_EQ(both->resources.front().listen_at("b").port, 8080);
}

TEST(Gateways, MistakesAreTold) {
  EXPECT_EQ(
      refusal(file("    gateways: [{name: a, listen: 127.0.0.1:8080}, b]\n")),
      "f.yaml:7:15: gateways: 'b' has no address to listen on; add listen: for all of them, or write {name: b, listen: "
      "address:port}");
  EXPECT_EQ(refusal(file("    gateways: [{name: a, listen: 127.0.0.1:8080}, {name: b, listen: 0.0.0.0:8080}]\n")),
            "f.yaml:7:15: gateways: 'a' and 'b' would both listen at 0.0.0.0:8080; choose another port for one");
  EXPECT_EQ(refusal(file("    listen: 127.0.0.1:8080\n    gateways: [a, a]\n")),
            "f.yaml:8:15: gateways: 'a' is listed twice; keep one");
  EXPECT_EQ(refusal(file("    gateways: [{name: a, listen: 127.0.0.1:9001}]\n")),
            "f.yaml:7:15: listen: 127.0.0.1:9001 is the primary's own address, so the gateway would call itself; "
            "choose another "
            "port");
  EXPECT_EQ(refusal(file("    gateways: [{name: a, listn: 127.0.0.1:8080}]\n    listen: 127.0.0.1:8081\n")),
            "f.yaml:7:26: unknown key 'listn' in resources.gateways; did you mean 'listen'?");
  EXPECT_EQ(refusal(file("    gateways: [a, [b]]\n    listen: 127.0.0.1:8081\n")),
            "f.yaml:7:19: gateways: a list was found where a name or a map belongs");
}

TEST(Gateways, TwoResourcesDoNotShareAnAddress) {
  EXPECT_EQ(refusal(file(
                "    gateways: [{name: a, listen: 127.0.0.1:8080}]\n",
                "  - {name: till, kind: http, gateways: [{name: b, listen: 127.0.0.1:8080}], primary: {id: q, address: "
                "127.0.0.1:9002}}\n")),
            "f.yaml:9:40: gateways: 127.0.0.1:8080 is taken by gateway 'a' of resource 'shop' on line 7; choose "
            "another port");
}

}  // namespace
}  // namespace foreshadow::config
