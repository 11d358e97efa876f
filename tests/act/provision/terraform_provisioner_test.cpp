// Against the real program, with a configuration that needs no provider (`terraform_data` is built in).
#include "act/provision/terraform_provisioner.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "io/files.hpp"
#include "support/eventually.hpp"
#include "support/temp_dir.hpp"

namespace foreshadow::act {
namespace {

using nlohmann::json;
using testing::eventually;
using testing::TempDir;

std::string find_binary() {
  if (const char* given = std::getenv("FORESHADOW_TOFU"); given && *given) return given;
  std::istringstream path(std::getenv("PATH") ? std::getenv("PATH") : "");
  std::vector<std::string> folders;
  for (std::string folder; std::getline(path, folder, ':');) folders.push_back(folder);
  for (const char* name : {"tofu", "terraform"})
    for (const auto& folder : folders)
      if (::access((folder + "/" + name).c_str(), X_OK) == 0) return folder + "/" + name;
  return "";
}

constexpr const char* kConfiguration = R"(
variable "size" { type = number }
variable "foreshadow_key" { type = string }
variable "foreshadow_primary" { type = any }
resource "terraform_data" "place" { input = "${var.foreshadow_key}-of-${var.foreshadow_primary.id}-${var.size}" }
resource "terraform_data" "disk" {
  count = 2
  input = count.index
}
output "id" { value = "shop-${terraform_data.place.output}" }
output "address" { value = "127.0.0.1:9102" }
output "data_dir" { value = null }
output "failure_domains" { value = ["volume:/srv/b"] }
output "attributes" { value = { secret_echo = "none" } }
output "unrelated" { value = { deep = [1, 2, 3] } }
)";

class Terraform : public ::testing::Test {
 protected:
  void SetUp() override {
    settings.binary = find_binary();
    ASSERT_FALSE(settings.binary.empty())
        << "no OpenTofu or Terraform in PATH and FORESHADOW_TOFU is not set: `./dev setup` builds one";
    configure(kConfiguration);
  }
  void configure(const std::string& text) {
    std::filesystem::create_directories(settings.dir);
    std::ofstream(settings.dir + "/main.tf") << text;
  }
  TerraformProvisioner provisioner() { return TerraformProvisioner(settings); }
  std::string state() { return io::read_file(dir / "state/terraform/shop-7/terraform.tfstate", 1 << 24).value_or(""); }
  json record() { return json::parse(io::read_file(dir / "state/terraform/shop-7.json").value()); }

  TempDir dir;
  TerraformSettings settings{
      .dir = dir / "infra", .variables = {{"size", "2"}}, .state_dir = dir / "state", .timeout = Millis{120'000}};
  ProvisionRequest request{
      .resource = "shop", .primary = {.id = "shop-a", .endpoint = {"127.0.0.1", 9001}}, .key = "shop-7"};
};

TEST_F(Terraform, PlansMakesFindsAgainAndGivesBack) {
  auto terraform = provisioner();
  const auto plan = terraform.plan(request, {});
  ASSERT_TRUE(plan) << plan.error().what;
  EXPECT_NE(plan->find("3 to add, 0 to change, 0 to destroy"), std::string::npos) << *plan;
  EXPECT_NE(plan->find("+ terraform_data.disk[1]"), std::string::npos) << *plan;
  EXPECT_EQ(state(), "") << "a plan makes nothing";

  std::vector<std::pair<double, std::string>> seen;
  const auto made = terraform.provision(request, [&](double f, const std::string& s) { seen.emplace_back(f, s); }, {});
  ASSERT_TRUE(made) << made.error().what;
  EXPECT_EQ(made->id, "shop-shop-7-of-shop-a-2");
  EXPECT_EQ(made->endpoint, (Endpoint{"127.0.0.1", 9102}));
  EXPECT_EQ(made->failure_domains, std::vector<std::string>{"volume:/srv/b"});
  ASSERT_GT(seen.size(), 5u);
  for (std::size_t i = 1; i < seen.size(); ++i) EXPECT_GE(seen[i].first, seen[i - 1].first);
  EXPECT_EQ(seen.back().first, 1);
  EXPECT_EQ(record().at("addresses").size(), 3u);
  EXPECT_EQ(record().at("stage"), "made");

  // After a crash the same effect is started again.
  const auto serial = json::parse(state()).at("lineage");
  const auto again = provisioner().provision(request, {}, {});
  ASSERT_TRUE(again) << again.error().what;
  EXPECT_EQ(*again, *made);
  EXPECT_EQ(json::parse(state()).at("lineage"), serial);

  auto other = *made;
  other.id = "shop-x";
  EXPECT_EQ(terraform.destroy(request, other, {}).error().code, Code::refused);
  auto promoted = request;
  promoted.primary = *made;
  EXPECT_EQ(terraform.destroy(promoted, *made, {}).error().code, Code::refused);
  EXPECT_EQ(json::parse(state()).at("resources").size(), 2u) << "two blocks, three instances: all still there";

  ASSERT_TRUE(terraform.destroy(request, *made, {}));
  EXPECT_EQ(json::parse(state()).at("resources").size(), 0u);
  EXPECT_TRUE(terraform.destroy(request, *made, {})) << "safe to repeat";
  EXPECT_EQ(terraform.provision(request, {}, {}).error().code, Code::conflict);
}

TEST_F(Terraform, VariablesTravelInAFileThatOnlyItsOwnerReads) {
  settings.variables["unused"] = "hunter2";
  // A program in its place sees every argument and every variable of the environment that the real one would.
  std::ofstream(dir / "spy") << "#!/bin/sh\necho \"$@\" >> " << dir / "seen" << "\nenv >> " << dir / "seen" << "\nexec "
                             << settings.binary << " \"$@\"\n";
  ::chmod((dir / "spy").c_str(), 0755);
  settings.binary = dir / "spy";
  ::setenv("FORESHADOW_TEST_SECRET", "leak", 1);
  const auto made = provisioner().provision(request, {}, {});
  ::unsetenv("FORESHADOW_TEST_SECRET");
  ASSERT_TRUE(made) << made.error().what;
  const auto seen = io::read_file(dir / "seen").value();
  EXPECT_EQ(seen.find("hunter2"), std::string::npos);
  EXPECT_EQ(seen.find("FORESHADOW_TEST_SECRET"), std::string::npos);
  EXPECT_NE(seen.find("CHECKPOINT_DISABLE=1"), std::string::npos);
  EXPECT_NE(seen.find("TF_IN_AUTOMATION=1"), std::string::npos);
  const auto file = dir / "state/terraform/shop-7/foreshadow.tfvars.json";
  EXPECT_NE(io::read_file(file).value().find("hunter2"), std::string::npos);
  struct stat st{};
  ASSERT_EQ(::stat(file.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  settings.variables["foreshadow_key"] = "mine";
  EXPECT_EQ(provisioner().provision(request, {}, {}).error().code, Code::invalid);
}

TEST_F(Terraform, KeysHaveStatesOfTheirOwn) {
  ASSERT_TRUE(provisioner().provision(request, {}, {}));
  auto second = request;
  second.key = "shop-8";
  const auto made = provisioner().provision(second, {}, {});
  ASSERT_TRUE(made) << made.error().what;
  EXPECT_EQ(made->id, "shop-shop-8-of-shop-a-2");
  ASSERT_TRUE(provisioner().destroy(second, *made, {}));
  EXPECT_EQ(json::parse(state()).at("resources").size(), 2u);
}

TEST_F(Terraform, RefusesAPlanThatWouldDestroyOrReplace) {
  ASSERT_TRUE(provisioner().provision(request, {}, {}));
  const auto before = state();
  auto fewer = std::string(kConfiguration);
  fewer.replace(fewer.find("count = 2"), 9, "count = 1");
  configure(fewer);
  const auto destroys = provisioner().provision(request, {}, {});
  ASSERT_FALSE(destroys);
  EXPECT_EQ(destroys.error().code, Code::refused);
  EXPECT_NE(destroys.error().what.find("destroy terraform_data.disk[1]"), std::string::npos) << destroys.error().what;
  auto anew = std::string(kConfiguration);
  anew.replace(anew.find("count = 2"), 9, "count = 2\n  triggers_replace = 1");
  configure(anew);
  const auto replaces = provisioner().provision(request, {}, {});
  ASSERT_FALSE(replaces);
  EXPECT_NE(replaces.error().what.find("destroy and make anew terraform_data.disk[0]"), std::string::npos)
      << replaces.error().what;
  EXPECT_NE(provisioner().plan(request, {}).value().find("Would be refused"), std::string::npos);
  EXPECT_EQ(state(), before);
}

TEST_F(Terraform, RefusesToDestroyWhatIsNotRecorded) {
  const auto made = provisioner().provision(request, {}, {});
  ASSERT_TRUE(made);
  // Somebody adopted another thing into our state: a plan -destroy would take it along.
  auto altered = json::parse(state());
  auto stranger = altered["resources"][0];
  stranger["name"] = "stranger";
  altered["resources"].push_back(stranger);
  altered["serial"] = altered["serial"].get<int>() + 1;
  std::ofstream(dir / "state/terraform/shop-7/terraform.tfstate") << altered.dump();
  const auto refused = provisioner().destroy(request, *made, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::refused);
  EXPECT_NE(refused.error().what.find("terraform_data.stranger"), std::string::npos) << refused.error().what;
  EXPECT_EQ(json::parse(state()).at("resources").size(), 3u);
  // And where its outputs name another instance than we recorded.
  altered["outputs"]["address"]["value"] = "127.0.0.1:9999";
  altered["serial"] = altered["serial"].get<int>() + 1;
  std::ofstream(dir / "state/terraform/shop-7/terraform.tfstate") << altered.dump();
  const auto changed = provisioner().destroy(request, *made, {});
  ASSERT_FALSE(changed);
  EXPECT_NE(changed.error().what.find("127.0.0.1:9999"), std::string::npos) << changed.error().what;
}

TEST_F(Terraform, AFailedApplyIsToldAndTriedAgain) {
  auto failing = std::string(kConfiguration) + R"(
resource "terraform_data" "late" {
  depends_on = [terraform_data.place]
  provisioner "local-exec" { command = "test -e )" +
                 dir / "allowed" + R"(" }
}
)";
  configure(failing);
  const auto failed = provisioner().provision(request, {}, {});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::refused);
  EXPECT_NE(failed.error().what.find("local-exec"), std::string::npos) << failed.error().what;
  std::ofstream(dir / "allowed") << "";
  const auto made = provisioner().provision(request, {}, {});
  ASSERT_TRUE(made) << "the tainted rest is ours and may be replaced: " << made.error().what;
  EXPECT_TRUE(provisioner().destroy(request, *made, {}));
}

TEST_F(Terraform, BadConfigurationsAreToldWithTheirMend) {
  const auto told = [&](const std::string& configuration, const std::string& text) {
    configure(configuration);
    const auto made = provisioner().provision(request, {}, {});
    if (made) return std::string("made it");
    return made.error().what.find(text) == std::string::npos ? made.error().what : std::string();
  };
  EXPECT_EQ(told("this is { not hcl", "init failed"), "");
  EXPECT_EQ(told("output \"id\" { value = \"b\" }", "creates nothing"), "");
  EXPECT_EQ(
      told("terraform {\n  backend \"local\" {}\n}\n" + std::string(kConfiguration), "remove it: Foreshadow keeps"),
      "");
  std::filesystem::remove_all(dir / "state");
  EXPECT_EQ(told("resource \"terraform_data\" \"x\" {}\noutput \"id\" { value = \"b\" }", "'address' is missing"), "");
  EXPECT_EQ(told("resource \"terraform_data\" \"x\" {}\noutput \"id\" { value = \"b\" }\noutput \"address\" { value = "
                 "\"127.0.0.1:9001\" }",
                 "'address' is the primary's own"),
            "");
  EXPECT_EQ(told(kConfiguration + std::string("variable \"wanted\" {}"), "wanted"), "");
  settings.dir = dir / "nowhere";
  EXPECT_NE(provisioner().provision(request, {}, {}).error().what.find("does not exist"), std::string::npos);
  settings.binary = "no-such-tofu";
  settings.dir = dir / "infra";
  EXPECT_EQ(provisioner().provision(request, {}, {}).error().code, Code::unreachable);
}

TEST_F(Terraform, AHangIsInterruptedSoThatItsStateIsSaved) {
  configure(std::string(kConfiguration) + R"(
resource "terraform_data" "slow" {
  depends_on = [terraform_data.place, terraform_data.disk]
  provisioner "local-exec" { command = "touch )" +
            dir / "in" + R"(; exec sleep 600" }
}
)");
  std::stop_source source;
  std::jthread stopper([&] {
    eventually([&] { return std::filesystem::exists(dir / "in"); }, std::chrono::seconds(60));
    source.request_stop();
  });
  const auto stopped = provisioner().provision(request, {}, source.get_token());
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Code::cancelled) << stopped.error().what;
  const auto saved = json::parse(state(), nullptr, false);
  ASSERT_TRUE(saved.is_object()) << "what was made before the stop was forgotten";
  EXPECT_GE(saved.at("resources").size(), 2u);
}

TEST(TerraformPlan, JudgesEveryKindOfChange) {
  const auto plan_of = [](const std::string& actions, const std::string& more = "") {
    return parse_terraform_plan(R"({"format_version":"1.2","resource_changes":[{"address":"a.b","change":{"actions":)" +
                                actions + more + "}}]}")
        .value();
  };
  const std::vector<std::string> none, ours{"a.b"};
  EXPECT_TRUE(check_makes(plan_of(R"(["create"])"), none));
  EXPECT_TRUE(check_makes(plan_of(R"(["no-op"])"), none));
  EXPECT_TRUE(check_makes(plan_of(R"(["read"])"), none));
  EXPECT_TRUE(check_makes(plan_of(R"(["update"])"), ours));
  EXPECT_FALSE(check_makes(plan_of(R"(["update"])"), none));
  EXPECT_FALSE(check_makes(plan_of(R"(["delete"])"), ours));
  EXPECT_FALSE(check_makes(plan_of(R"(["delete","create"])"), ours));
  EXPECT_FALSE(check_makes(plan_of(R"(["create","delete"])"), ours));
  EXPECT_FALSE(check_makes(plan_of(R"(["forget"])"), ours));
  EXPECT_FALSE(check_makes(plan_of(R"(["invented"])"), ours));
  EXPECT_FALSE(check_makes(plan_of(R"(["no-op"])", R"(,"importing":{"id":"x"})"), ours));
  EXPECT_TRUE(check_gives_back(plan_of(R"(["delete"])"), ours));
  EXPECT_FALSE(check_gives_back(plan_of(R"(["delete"])"), none));
  EXPECT_FALSE(check_gives_back(plan_of(R"(["create"])"), ours));
  EXPECT_EQ(plan_summary(plan_of(R"(["update"])")), "0 to add, 1 to change, 0 to destroy\n  ~ a.b");
  for (const char* bad : {"", "[]", "{}", R"({"format_version":"2.0"})", R"({"format_version":1})",
                          R"({"format_version":"1.0","errored":true})", R"({"format_version":"1.0","complete":false})",
                          R"({"format_version":"1.0","resource_changes":7})",
                          R"({"format_version":"1.0","resource_changes":[{"address":"a"}]})"})
    EXPECT_EQ(parse_terraform_plan(bad).error().code, Code::invalid) << bad;
}

}  // namespace
}  // namespace foreshadow::act
