// h2spec, a conformance suite for HTTP/2 servers that is not ours, against a real gateway with a service behind it.
// `./dev test` builds the tool (tools/h2spec.sh); FORESHADOW_H2SPEC names another.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "kinds/http/rig.hpp"

namespace foreshadow::kinds::http {
namespace {

using namespace testing;

constexpr int kCases = 146;

std::string tool() {
  if (const char* given = std::getenv("FORESHADOW_H2SPEC"); given && *given) return given;
  // Up from wherever the runner stands to the repository's own.
  auto at = std::filesystem::current_path();
  for (;; at = at.parent_path()) {
    if (const auto built = at / ".cache/tools/h2spec"; std::filesystem::exists(built)) return built.string();
    if (at == at.root_path()) return {};
  }
}

struct Conformance : Rig {};

TEST_F(Conformance, EveryCaseOfH2specPasses) {
  const auto h2spec = tool();
  ASSERT_FALSE(h2spec.empty()) << "no h2spec: `./dev test` builds one, or FORESHADOW_H2SPEC names one";
  // Some cases cut the answer's body in pieces.
  a.handle([](const Message&, Stream&) { return Backend::Reply{ok(std::string(1000, 'x'))}; });
  // Where HTTP/1 is spoken too, what is no preface gets an answer in HTTP/1, which one case takes for garbage.
  listener().options["h2"] = "only";
  start();
  const auto log = dir.path() + "/h2spec.log";
  const auto command = "'" + h2spec + "' --host 127.0.0.1 --port " + std::to_string(port) +
                       " --strict --timeout 3 --junit-report '" + dir.path() + "/h2spec.xml' > '" + log + "' 2>&1";
  const int status = std::system(command.c_str());
  std::stringstream said;
  said << std::ifstream(log).rdbuf();
  const auto text = said.str();
  std::smatch found;
  ASSERT_TRUE(std::regex_search(text, found, std::regex(R"((\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed)")))
      << text;
  EXPECT_EQ(found[1], std::to_string(kCases));
  EXPECT_EQ(found[2], std::to_string(kCases));
  EXPECT_EQ(found[4], "0") << text;
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(foreshadow::testing::eventually([&] { return report().sessions == 0; }))
      << "a connection was left behind";
}

}  // namespace
}  // namespace foreshadow::kinds::http
