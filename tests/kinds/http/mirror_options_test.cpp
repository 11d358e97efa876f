#include "kinds/http/mirror_options.hpp"

#include <gtest/gtest.h>

#include "kinds/http/options.hpp"

namespace foreshadow::kinds::http {
namespace {

std::string mistake(const std::string& name, const std::string& text) {
  const auto parsed = parse_options({{name, text}});
  return parsed ? "none" : parsed.error().what;
}

TEST(MirrorOptions, AreReadAsWritten) {
  const auto parsed = parse_options({{"mirror_timeout", "2s"},
                                     {"mirror_trial", "no"},
                                     {"mirror_writes_per_second", "7"},
                                     {"mirror_harmless", "10%"},
                                     {"mirror_slot", "20ms"},
                                     {"compare", "false"},
                                     {"compare_body_max", "128KiB"},
                                     {"compare_noise", "5%"},
                                     {"compare_relative", "0.3"},
                                     {"compare_absolute", "1%"},
                                     {"compare_cpu", "50%"},
                                     {"compare_samples", "0"},
                                     {"compare_ignore", "header.x-build, body.meta.*"},
                                     {"compare_redact", "iban,birthday"}});
  ASSERT_TRUE(parsed) << parsed.error().what;
  const auto& mirror = parsed->mirror;
  EXPECT_EQ(mirror.timeout, Millis{2000});
  EXPECT_FALSE(mirror.trial);
  EXPECT_DOUBLE_EQ(mirror.writes_per_s, 7);
  EXPECT_DOUBLE_EQ(mirror.harmless, 0.1);
  EXPECT_EQ(mirror.slot, Millis{20});
  EXPECT_FALSE(mirror.compare);
  EXPECT_EQ(mirror.compare_body_max, 128u << 10);
  EXPECT_DOUBLE_EQ(mirror.compare_noise, 0.05);
  EXPECT_DOUBLE_EQ(mirror.compare_relative, 0.3);
  EXPECT_DOUBLE_EQ(mirror.compare_absolute, 0.01);
  EXPECT_DOUBLE_EQ(mirror.compare_cpu, 0.5);
  EXPECT_EQ(mirror.compare_samples, 0u);
  EXPECT_EQ(mirror.compare_ignore, (std::vector<std::string>{"header.x-build", "body.meta.*"}));
  EXPECT_EQ(mirror.compare_redact, (std::vector<std::string>{"iban", "birthday"}));
}

TEST(MirrorOptions, MistakesAreToldWithTheMend) {
  EXPECT_EQ(mistake("mirror_slot", "2s"), "option mirror_slot: '2s' must lie between 5ms and 1s");
  EXPECT_EQ(mistake("compare", "maybe"), "option compare: 'maybe' must be true or false");
  EXPECT_EQ(mistake("compare_body_max", "2MiB"), "option compare_body_max: '2MiB' must be at most 1MiB");
  EXPECT_EQ(mistake("compare_cpu", "0"),
            "option compare_cpu: '0' must be at least 0.1%; compare: false compares nothing");
  EXPECT_EQ(mistake("compare_samples", "1000"), "option compare_samples: '1000' must be a number from 0 to 100");
  EXPECT_EQ(mistake("compare_ignore", "etag"),
            "option compare_ignore: 'etag' must list fields such as header.etag, body.items[].seen_at or body.meta.*");
  EXPECT_EQ(mistake("compare_ignore", "!header.x"),
            "option compare_ignore: '!header.x' lists !header.x, which is not among what is ignored by default");
  EXPECT_EQ(mistake("compare_cup", "1"), "option compare_cup: '1' is not an option of http");
}

TEST(MirrorOptions, EachIsKnownByItsName) {
  for (const auto& info : mirror_option_infos()) EXPECT_TRUE(is_mirror_option(info.name)) << info.name;
  EXPECT_FALSE(is_mirror_option("sticky"));
}

}  // namespace
}  // namespace foreshadow::kinds::http
