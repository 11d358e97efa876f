#include "act/provision/instance_text.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "act/provision/progress_text.hpp"

namespace foreshadow::act {
namespace {

const Instance kPrimary{
    .id = "shop-a", .endpoint = {"127.0.0.1", 9001}, .data_dir = "/srv/pg", .pid_file = "/run/a.pid"};

std::string error_of(std::string_view text) {
  const auto parsed = parse_instance(text, kPrimary);
  if (parsed) return "";
  EXPECT_EQ(parsed.error().code, Code::invalid);
  return parsed.error().what;
}

TEST(InstanceText, ReadsAllFieldsAndWritesThemBack) {
  const auto parsed =
      parse_instance(R"( {"id":"shop-b","address":"127.0.0.1:9002","data_dir":"/srv/b","pid_file":"/run/b.pid",
    "failure_domains":["host:b","volume:/srv/b"],"attributes":{"cgroup":"/sys/fs/cgroup/b"}} )",
                     kPrimary);
  ASSERT_TRUE(parsed) << parsed.error().what;
  EXPECT_EQ(parsed->endpoint, (Endpoint{"127.0.0.1", 9002}));
  EXPECT_EQ(parsed->failure_domains, (std::vector<std::string>{"host:b", "volume:/srv/b"}));
  EXPECT_EQ(parsed->attributes.at("cgroup"), "/sys/fs/cgroup/b");
  EXPECT_EQ(parse_instance(instance_object(*parsed).dump(), kPrimary).value(), *parsed);
}

TEST(InstanceText, NeedsOnlyIdAndAddress) {
  const auto parsed = parse_instance(R"({"id":"b","address":"/run/pg:5432"})", kPrimary);
  ASSERT_TRUE(parsed) << parsed.error().what;
  EXPECT_EQ(parsed->endpoint, (Endpoint{"/run/pg", 5432}));
  const auto v6 = parse_instance(R"({"id":"b","address":"[fe80::1]:80"})", kPrimary);
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->endpoint.host, "fe80::1");
  EXPECT_EQ(instance_object(*v6).at("address"), "[fe80::1]:80");
}

TEST(InstanceText, EveryMistakeIsNamedWithItsMend) {
  const std::pair<const char*, const char*> mistakes[] = {
      {"", "nothing was printed"},
      {" \n", "nothing was printed"},
      {"ready!", "exactly one JSON object"},
      {R"({"id":"b","address":"h:1"} {"id":"c","address":"h:2"})", "exactly one JSON object"},
      {R"({"id":"b","address":"h:1"} done)", "exactly one JSON object"},
      {R"([{"id":"b"}])", "a JSON object was expected, not array"},
      {"\"text\"", "a JSON object was expected, not string"},
      {R"({"address":"h:1"})", "'id' is missing"},
      {R"({"id":"b"})", "'address' is missing"},
      {R"({"id":7,"address":"h:1"})", "'id' must be a text, not number"},
      {R"({"id":"","address":"h:1"})", "'id' must be letters"},
      {R"({"id":"../x","address":"h:1"})", "'id' must be letters"},
      {R"({"id":"-rf","address":"h:1"})", "'id' must be letters"},
      {R"({"id":"b","address":"h"})", "'address' must be \"host:port\""},
      {R"({"id":"b","address":":1"})", "'address' must be \"host:port\""},
      {R"({"id":"b","address":"h:0"})", "'address' must be \"host:port\""},
      {R"({"id":"b","address":"h:65536"})", "'address' must be \"host:port\""},
      {R"({"id":"b","address":"h:1x"})", "'address' must be \"host:port\""},
      {R"({"id":"b","address":"h:-1"})", "'address' must be \"host:port\""},
      {R"({"id":"b","address":"::1:80"})", "in brackets"},
      {R"({"id":"b","address":"a b:80"})", "no proper host"},
      {R"({"id":"b","address":"h:1","data_dir":"srv"})", "'data_dir' must be an absolute path"},
      {R"({"id":"b","address":"h:1","pid_file":3})", "'pid_file' must be a text"},
      {R"({"id":"b","address":"h:1","data_dir":"/a\nb"})", "'data_dir' is too long or holds control"},
      {R"({"id":"b","address":"h:1","failure_domains":"x"})", "'failure_domains' must be a list"},
      {R"({"id":"b","address":"h:1","failure_domains":[1]})", "'failure_domains' must be a list"},
      {R"({"id":"b","address":"h:1","attributes":[]})", "'attributes' must be an object"},
      {R"({"id":"b","address":"h:1","attributes":{"a":1}})", "'attributes.a' must be a text"},
      {R"({"id":"b","address":"h:1","adress":"h:2"})", "unknown field 'adress'"},
      {R"({"id":"b","id":"c","address":"h:1"})", "'id' stands twice"},
      {R"({"id":"b","address":"h:1","attributes":{"a":"1","a":"2"}})", "'a' stands twice"},
      {R"({"id":[[[[[[1]]]]]],"address":"h:1"})", "nested too deep"},
      {R"({"id":"shop-a","address":"h:1"})", "'id' is the primary's own"},
      {R"({"id":"b","address":"127.0.0.1:9001"})", "'address' is the primary's own"},
      {R"({"id":"b","address":"localhost:9001"})", "'address' is the primary's own"},
      {R"({"id":"b","address":"h:1","data_dir":"/srv/x/../pg/"})", "'data_dir' is the primary's own"},
      {R"({"id":"b","address":"h:1","pid_file":"/run//a.pid"})", "'pid_file' is the primary's own"},
  };
  for (const auto& [text, told] : mistakes)
    EXPECT_NE(error_of(text).find(told), std::string::npos) << text << " -> " << error_of(text);
  EXPECT_NE(error_of(std::string(70'000, ' ') + "{}").find("70002 bytes"), std::string::npos);
  EXPECT_NE(error_of("{\"id\":\"\xff\",\"address\":\"h:1\"}"), "");
  EXPECT_NE(error_of(std::string(60'000, '[')), "");
}

TEST(ProgressText, IsOneShortPrintableLine) {
  EXPECT_EQ(shown_line("ok \x1b[2Jgone\t"), "ok  [2Jgone ");
  EXPECT_EQ(shown_line(std::string(999, 'x')).size(), 200u);
  EXPECT_EQ(percentage_in("copying: 40% of it"), 0.4);
  EXPECT_EQ(percentage_in("100%"), 1.0);
  EXPECT_EQ(percentage_in("999%"), 1.0);
  EXPECT_EQ(percentage_in("% none"), std::nullopt);
  EXPECT_EQ(percentage_in("none"), std::nullopt);
}

}  // namespace
}  // namespace foreshadow::act
