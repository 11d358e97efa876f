// The schema that editors use, held against the keys the parser really asks for.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "config/complete.hpp"
#include "config/declared_kinds.hpp"
#include "domain/json.hpp"

namespace foreshadow::config {
namespace {

using nlohmann::json;

// Every object of the schema under the name the parser has for that section.
void collect(const json& object, const std::string& section, KnownKeys& sections) {
  auto& keys = sections[section];
  for (const auto& [key, value] : object.at("properties").items()) {
    keys.insert(key);
    const auto& inner = value.contains("items") ? value.at("items") : value;
    if (inner.contains("properties")) collect(inner, section.empty() ? key : section + "." + key, sections);
  }
}

void expect_closed(const json& object) {
  EXPECT_EQ(object.value("additionalProperties", true), false) << object.dump();
  for (const auto& [key, value] : object.at("properties").items()) {
    const auto& inner = value.contains("items") ? value.at("items") : value;
    if (inner.contains("properties")) expect_closed(inner);
  }
}

TEST(Schema, HasTheKeysThatTheParserKnows) {
  std::ifstream file(FORESHADOW_SOURCE_DIR "/docs/schema/foreshadow.schema.json");
  const auto schema = json::parse(file);
  KnownKeys in_schema, in_parser;
  collect(schema, "", in_schema);
  ASSERT_TRUE(parse_declared(kComplete, &in_parser));
  EXPECT_EQ(in_schema, in_parser);
  expect_closed(schema);
}

// A field added to Policy that no one can set would be noticed here.
TEST(Schema, EveryFieldOfThePolicyCanBeSet) {
  KnownKeys known;
  ASSERT_TRUE(parse_declared(kComplete, &known));
  const json policy = Policy{};
  std::set<std::string> fields;
  for (const auto& [field, value] : policy.items()) {
    fields.insert(field);
    if (!value.is_object()) continue;
    std::set<std::string> inner;
    for (const auto& [name, ignored] : value.items()) inner.insert(name);
    EXPECT_EQ(known["resources.policy." + field], inner) << field;
  }
  EXPECT_EQ(known["resources.policy"], fields);
}

TEST(Schema, RequiresWhatTheParserRequires) {
  std::ifstream file(FORESHADOW_SOURCE_DIR "/docs/schema/foreshadow.schema.json");
  const auto schema = json::parse(file);
  const auto& resource = schema.at("properties").at("resources").at("items");
  EXPECT_EQ(schema.at("required"), json({"version", "state_dir", "resources"}));
  EXPECT_EQ(resource.at("required"), json({"name", "kind", "primary"}));
  EXPECT_EQ(resource.at("properties").at("primary").at("required"), json({"id", "address"}));
  const auto config = parse_declared("resources: [{}, {name: a, kind: http, primary: {}}]\n");
  ASSERT_FALSE(config);
  for (const auto* key : {"version", "state_dir", "name", "kind", "primary", "id", "address"})
    EXPECT_NE(config.error().what.find(std::string(key) + ": missing"), std::string::npos) << key << "\n"
                                                                                           << config.error().what;
}

// The files that the documentation tells people to start from must be accepted as they stand.
TEST(Documentation, ItsCompleteFilesAreAccepted) {
  std::ifstream file(FORESHADOW_SOURCE_DIR "/docs/configuration.md");
  std::ostringstream text;
  text << file.rdbuf();
  const auto page = text.str();
  int found = 0;
  for (std::size_t at = page.find("```yaml\nversion:"); at != std::string::npos;
       at = page.find("```yaml\nversion:", at + 1)) {
    const auto begin = at + std::string_view("```yaml\n").size();
    const auto config = parse_declared(std::string_view(page).substr(begin, page.find("\n```", begin) + 1 - begin));
    EXPECT_TRUE(config) << config.error().what;
    ++found;
  }
  EXPECT_GE(found, 2);
}

}  // namespace
}  // namespace foreshadow::config
