// The command line as a script sees it: exit codes, messages, completions. Runs the real program.
#include "app/cli.hpp"

#include <gtest/gtest.h>
#include <CLI/CLI.hpp>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "app/completions.hpp"
#include "app/exit_codes.hpp"
#include "app/recorded.hpp"
#include "io/subprocess.hpp"

namespace foreshadow::app {
namespace {

io::Finished foreshadow(std::vector<std::string> args, std::map<std::string, std::string> environment = {}) {
  args.insert(args.begin(), FORESHADOW_BINARY);
  io::Command command;
  command.argv = std::move(args);
  command.environment = std::move(environment);
  auto finished = io::run(command);
  EXPECT_TRUE(finished) << finished.error().what;
  return finished ? *finished : io::Finished{.exit_code = -1};
}

class Scratch {
 public:
  Scratch() : dir_(std::filesystem::temp_directory_path() / ("fs-cli-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(dir_);
  }
  ~Scratch() { std::filesystem::remove_all(dir_); }
  std::string path(const std::string& name) const { return (dir_ / name).string(); }
  std::string file(const std::string& name, const std::string& content) const {
    std::ofstream(path(name)) << content;
    return path(name);
  }

 private:
  std::filesystem::path dir_;
};

TEST(Cli, WrongUsageExitsWithTwo) {
  EXPECT_EQ(foreshadow({}).exit_code, exit_usage);
  EXPECT_EQ(foreshadow({"frobnicate"}).exit_code, exit_usage);
  EXPECT_EQ(foreshadow({"status", "--state-dir", "/nonexistent", "-o", "xml"}).exit_code, exit_usage);
  EXPECT_EQ(foreshadow({"gateway"}).exit_code, exit_usage);
  EXPECT_EQ(foreshadow({"plan", "restart", "shop", "--state-dir", "/nonexistent"}).exit_code, exit_usage);
  EXPECT_EQ(foreshadow({"sim", "--seeds", "9..1"}).exit_code, exit_usage);
}

TEST(Cli, VersionNamesTheKinds) {
  const auto version = foreshadow({"version"});
  EXPECT_EQ(version.exit_code, exit_ok);
  EXPECT_NE(version.out.find("kinds: http"), std::string::npos) << version.out;
}

TEST(Cli, ValidateTellsThePlaceOfAMistake) {
  Scratch scratch;
  const auto file = scratch.file(
      "f.yaml",
      "version: 1\nstate_dir: s\nresources:\n  - {name: a, kind: htpt, primary: {id: a1, address: \"h:80\"}}\n");
  const auto bad = foreshadow({"validate", "-c", file});
  EXPECT_EQ(bad.exit_code, exit_usage);
  EXPECT_EQ(bad.err, file + ":4:21: kind: 'htpt' is not known; did you mean 'http'?\n");
  const auto good = foreshadow(
      {"validate"}, {{"FORESHADOW_CONFIG", scratch.file("g.yaml",
                                                        "version: 1\nstate_dir: s\nresources:\n  - {name: a, kind: "
                                                        "http, primary: {id: a1, address: \"h:80\"}}\n")}});
  EXPECT_EQ(good.exit_code, exit_ok) << good.err;
  EXPECT_EQ(good.out, scratch.path("g.yaml") + ": 1 resources, 0 gateways, 0 agents; no mistakes found\n");
}

TEST(Cli, ARoleThatIsNotConfiguredIsRefused) {
  Scratch scratch;
  const auto file = scratch.file("f.yaml",
                                 "version: 1\nstate_dir: s\ngateways: [{name: edge}]\nresources:\n  - {name: a, kind: "
                                 "http, primary: {id: a1, address: \"h:80\"}}\n");
  const auto gateway = foreshadow({"gateway", "-c", file, "--name", "egde"});
  EXPECT_EQ(gateway.exit_code, exit_usage);
  EXPECT_NE(gateway.err.find("no gateway 'egde' in the configuration; there are: edge"), std::string::npos)
      << gateway.err;
}

TEST(Cli, WhereNobodyIsTheExitCodeIsThree) {
  Scratch scratch;
  const auto dir = scratch.path("");
  EXPECT_EQ(foreshadow({"status", "--state-dir", dir}).exit_code, exit_unreachable);
  EXPECT_EQ(foreshadow({"differences", "shop", "--state-dir", dir}).exit_code, exit_unreachable);
  EXPECT_EQ(foreshadow({"pause", "--state-dir", dir}).exit_code, exit_unreachable);
  EXPECT_EQ(foreshadow({"events", "--state-dir", dir}).exit_code, exit_unreachable);
  EXPECT_EQ(foreshadow({"explain", "--state-dir", dir}).exit_code, exit_unreachable);
  EXPECT_EQ(foreshadow({"plan", "shop", "--state-dir", dir}).exit_code, exit_unreachable);
  EXPECT_EQ(foreshadow({"replay", scratch.path("journal.db")}).exit_code, exit_unreachable);
}

TEST(Cli, WithoutATerminalAHandoverNeedsYes) {
  Scratch scratch;
  const auto asked = foreshadow({"handover", "shop", "--state-dir", scratch.path("")});
  EXPECT_EQ(asked.exit_code, exit_usage);
  EXPECT_EQ(asked.err, "foreshadow: handover asks for confirmation, and nobody can type it here; add --yes\n");
  EXPECT_EQ(foreshadow({"handover", "shop", "--yes", "--state-dir", scratch.path("")}).exit_code, exit_unreachable);
}

TEST(Cli, WithTheControllerDeadTheJournalAnswers) {
  Recorded recorded("cli");
  recorded.whole_handover();
  recorded.end_term();
  const auto status = foreshadow({"status", "-o", "json", "--state-dir", recorded.dir()});
  ASSERT_EQ(status.exit_code, exit_ok) << status.err;
  const auto json = nlohmann::json::parse(status.out);
  EXPECT_EQ(json.at("controller").at("alive"), false);
  EXPECT_GT(json.at("data_age_ms"), 0);
  EXPECT_EQ(json.at("resources").at(0).at("name"), "shop");
  EXPECT_EQ(json.at("resources").at(0).at("epoch"), 1);

  const auto table = foreshadow({"status", "--state-dir", recorded.dir()});
  EXPECT_TRUE(table.out.starts_with("controller down (")) << table.out;
  EXPECT_EQ(table.out.find('\x1b'), std::string::npos);

  const auto explained = foreshadow({"explain", "shop", "--state-dir", recorded.dir()});
  EXPECT_EQ(explained.exit_code, exit_ok) << explained.err;
  EXPECT_NE(explained.out.find("Why the handover"), std::string::npos);

  const auto plan = foreshadow({"plan", "handover", "shop", "--state-dir", recorded.dir()});
  EXPECT_EQ(plan.exit_code, exit_ok) << plan.err;
  EXPECT_NE(plan.out.find("point of no return"), std::string::npos) << plan.out;

  const auto replayed = foreshadow({"replay", recorded.path()});
  EXPECT_EQ(replayed.exit_code, exit_ok) << replayed.out;
  EXPECT_NE(replayed.out.find("all the same again"), std::string::npos) << replayed.out;

  const auto events = foreshadow({"events", "-o", "json", "--state-dir", recorded.dir()});
  std::istringstream lines(events.out);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const auto event = nlohmann::json::parse(line);
    for (const auto* key : {"seq", "at_ms", "type", "resource", "name", "body"})
      EXPECT_TRUE(event.contains(key)) << line;
  }
  EXPECT_GT(count, 20);
  EXPECT_EQ(foreshadow({"events", "--since", "1", "--state-dir", recorded.dir()}).exit_code, exit_usage);
}

TEST(Cli, AJournalFromANewerVersionIsRefusedNotGuessedAt) {
  Scratch scratch;
  const auto garbage = scratch.file("journal.db", std::string(4096, 'x'));
  EXPECT_EQ(foreshadow({"replay", garbage}).exit_code, exit_corrupt);
}

TEST(Completions, KnowEveryCommandAndParse) {
  Job job;
  const auto app = make_cli(job);
  Scratch scratch;
  for (const auto* shell : {"bash", "zsh", "fish"}) {
    const auto script = completion_script(*app, shell);
    for (const auto* sub : app->get_subcommands([](const CLI::App*) { return true; }))
      EXPECT_NE(script.find(sub->get_name()), std::string::npos) << shell << " " << sub->get_name();
    const auto file = scratch.file(shell, script);
    const auto parsed = io::run({.argv = {shell, "-n", file}});
    if (!parsed) continue;  // this shell is not installed here
    EXPECT_EQ(parsed->exit_code, 0) << shell << "\n" << parsed->err;
  }
}

// Completes the words as bash would, and gives what it offers.
std::string offered(const std::string& words, int at) {
  const auto done =
      io::run({.argv = {"bash", "-c",
                        "source <(" FORESHADOW_BINARY " completions bash); COMP_WORDS=(" + words +
                            "); COMP_CWORD=" + std::to_string(at) + "; _foreshadow; echo ${COMPREPLY[@]}"}});
  return done ? done->out + done->err : done.error().what;
}

TEST(Completions, OfferWhatFits) {
  EXPECT_EQ(offered("foreshadow roll", 1), "rollback\n");
  EXPECT_EQ(offered("foreshadow status --wa", 2), "--watch\n");
  EXPECT_EQ(offered("foreshadow status -o j", 3), "json\n");
  EXPECT_EQ(offered("foreshadow completions f", 2), "fish\n");
}

TEST(Documentation, DescribesEveryCommandAndExitCode) {
  std::ifstream file(FORESHADOW_SOURCE_DIR "/docs/cli.md");
  std::ostringstream text;
  text << file.rdbuf();
  Job job;
  const auto app = make_cli(job);
  for (const auto* sub : app->get_subcommands([](const CLI::App*) { return true; }))
    EXPECT_NE(text.str().find("`" + sub->get_name()), std::string::npos) << sub->get_name();
  for (int code = exit_ok; code <= exit_corrupt; ++code)
    EXPECT_NE(text.str().find("| " + std::to_string(code) + " |"), std::string::npos) << code;
  // Its examples are read by the real parser.
  std::istringstream lines(text.str());
  bool in_shell = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("```")) in_shell = line == "```sh";
    if (!in_shell || !line.starts_with("foreshadow ")) continue;
    Job ignored;
    EXPECT_NO_THROW(make_cli(ignored)->parse(
        line.substr(std::string("foreshadow ").size(), line.find(" > ") - std::string("foreshadow ").size())))
        << line;
  }
}

}  // namespace
}  // namespace foreshadow::app
