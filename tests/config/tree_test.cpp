// What is refused before any key is read. Each message is asserted whole: it is what an operator gets.
#include "config/tree.hpp"

#include <gtest/gtest.h>

#include "config/declared_kinds.hpp"

namespace foreshadow::config {
namespace {

std::string refusal(std::string_view text) {
  const auto config = parse_declared(text);
  return config ? "accepted" : config.error().what;
}

std::string repeat(std::string_view part, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += part;
  return out;
}

TEST(Tree, RefusesBytesThatAreNotText) {
  EXPECT_EQ(refusal("\xEF\xBB\xBFversion: 1\n"),
            "f.yaml:1:1: the file starts with a byte order mark; save it as UTF-8 without one");
  EXPECT_EQ(refusal("\xFF\xFEv\0"), "f.yaml:1:1: the file starts with a byte order mark; save it as UTF-8 without one");
  EXPECT_EQ(refusal("version: 1\nstate_dir: caf\xE9\n"), "f.yaml:2:15: byte 0xE9 is not UTF-8; save the file as UTF-8");
  EXPECT_EQ(refusal("version: \xC0\xAF\n"), "f.yaml:1:10: byte 0xC0 is not UTF-8; save the file as UTF-8");
  EXPECT_EQ(refusal("version: \xED\xA0\x80\n"), "f.yaml:1:10: byte 0xED is not UTF-8; save the file as UTF-8");
  EXPECT_EQ(refusal(std::string_view("version: 1\0\n", 12)), "f.yaml:1:11: control character 0x00; remove it");
  EXPECT_EQ(refusal("version: 1\nx: \x1b[31m\n"), "f.yaml:2:4: control character 0x1B; remove it");
}

TEST(Tree, RefusesWhatIsNotOneMap) {
  EXPECT_EQ(refusal(""), "f.yaml:1:1: the file is empty; docs/configuration.md has one to start from");
  EXPECT_EQ(refusal("# nothing\n"), "f.yaml:1:1: the file is empty; docs/configuration.md has one to start from");
  EXPECT_EQ(refusal("---\n"), "f.yaml:1:1: the file is empty; docs/configuration.md has one to start from");
  EXPECT_EQ(refusal("just words\n"),
            "f.yaml:1:1: the file holds a single value where a map belongs; start it with version: 1");
  EXPECT_EQ(refusal("- a\n"), "f.yaml:1:1: the file holds a list where a map belongs; start it with version: 1");
  EXPECT_EQ(refusal("version: 1\n---\nversion: 1\n"), "f.yaml:3:1: a second document; keep one '---' part in a file");
}

TEST(Tree, RefusesYamlThatDoesNotParse) {
  EXPECT_EQ(refusal("version: 1\nagents: [{name: a}\n"),
            "f.yaml:3:1: not YAML: end of sequence flow not found; check indentation, quotes and brackets above here");
  EXPECT_EQ(refusal("version: 1\n\tstate_dir: x\n"),
            "f.yaml:2:1: not YAML: illegal tab when looking for indentation; check indentation, quotes and brackets "
            "above here");
}

TEST(Tree, RefusesTagsAndOddKeys) {
  EXPECT_EQ(refusal("version: !!python/object 1\n"),
            "f.yaml:1:10: the tag 'tag:yaml.org,2002:python/object' is not supported; remove it");
  EXPECT_EQ(refusal("[a, b]: 1\n"), "f.yaml:1:1: a key must be one word, not a list or a map");
  EXPECT_EQ(refusal("~: 1\n"), "f.yaml:1:1: an empty key; give it a name");
}

TEST(Tree, RefusesDeepNestingWithoutFollowingIt) {
  EXPECT_EQ(refusal("a: " + repeat("[", 10'000) + repeat("]", 10'000)),
            "f.yaml:1:35: nested deeper than 32 levels; flatten it");
  EXPECT_EQ(refusal(repeat("{a: ", 10'000) + repeat("}", 10'000)),
            "f.yaml:1:129: nested deeper than 32 levels; flatten it");
  EXPECT_EQ(refusal(repeat("- ", 10'000) + "x\n"), "f.yaml:1:65: nested deeper than 32 levels; flatten it");
  // Left open, the scanner takes the first bracket for a key: another message, and as quick an end.
  EXPECT_EQ(refusal("a: " + repeat("[", 10'000)), "f.yaml:1:5: a key must be one word, not a list or a map");
}

TEST(Tree, RefusesAliasesThatMultiply) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    const auto before = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + repeat(before + ", ", 9) + before + "]\n";
  }
  EXPECT_EQ(refusal(bomb),
            "f.yaml:6:15: the file stands for more than 200000 values; write less, or use fewer aliases");
}

TEST(Tree, RefusesAliasesThatHideDepth) {
  std::string chain = "a0: &a0 [x]\n";
  for (int i = 1; i < 40; ++i)
    chain += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) + "]\n";
  EXPECT_EQ(refusal(chain), "f.yaml:32:12: nested deeper than 32 levels; flatten it");
}

TEST(Tree, RefusesAnAliasInsideWhatItNames) {
  EXPECT_EQ(refusal("a: &a [*a]\n"), "f.yaml:1:8: an alias inside what it names; write the value out");
}

TEST(Tree, RefusesFilesPastTheLimit) {
  EXPECT_EQ(refusal("version: 1\n#" + std::string(kFileBytesMax, 'x')),
            "f.yaml:1:1: the file is larger than 1048576 bytes; split it over several controllers");
}

TEST(Tree, TellsADuplicateKeyAndKeepsReading) {
  EXPECT_EQ(refusal("version: 1\nstate_dir: /s\nversion: 1\nresources: []\nagents: 7\n"),
            "f.yaml:3:1: key 'version' was given on line 1 already; keep one\n"
            "f.yaml:5:9: agents: a single value was found where a list belongs");
}

}  // namespace
}  // namespace foreshadow::config
