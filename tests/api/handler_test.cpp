// The handler over a real socket, on a real state: what a person hears back for each command.
#include "api/handler.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "api/command_json.hpp"
#include "api/status.hpp"
#include "decide/step.hpp"
#include "io/rpc.hpp"

namespace foreshadow::api {
namespace {

using nlohmann::json;

class HandlerTest : public testing::Test {
 protected:
  void SetUp() override {
    Resource shop;
    shop.id = "shop";
    shop.kind = "http";
    shop.traits = {.shares_data = true, .counterfactual = true};
    shop.primary = {.id = "shop-a", .endpoint = {"127.0.0.1", 9001}};
    shop.segments = {{.id = "all", .writes = true}};
    feed({time_from_ms(1'000), "", Started{7, "test"}});
    feed({time_from_ms(1'000), "shop", PolicySet{shop, {}}});
    auto server = io::RpcServer::listen(
        socket_, Handler({.snapshot = [this] { return encode_status(); },
                          .submit =
                              [this](const ResourceId& id, const Command& command) {
                                submitted_.emplace_back(id, command);
                                return Result<void>{};
                              },
                          .plan = [this](const ResourceId& id) { return plan_json(state_, id, "no changes", reports_); }}));
    ASSERT_TRUE(server) << server.error().what;
    server_ = std::move(*server);
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove(socket_);
  }

  void feed(const Event& event) { state_ = decide::step(std::move(state_), event).state; }
  std::string encode_status() const { return starting_ ? "" : status_json(state_, time_from_ms(2'000)).dump(); }
  Result<json> ask(const json& request) const { return io::rpc_call(socket_, request, Millis{5'000}); }
  Result<json> command(Verb verb, const std::string& resource = "shop") const {
    return ask({{"verb", "command"}, {"resource", resource}, {"command", Command{verb, "ann@host", "because"}}});
  }

  decide::State state_;
  bool starting_ = false;
  std::vector<GatewayReport> reports_;
  std::vector<std::pair<ResourceId, Command>> submitted_;
  std::string socket_ =
      (std::filesystem::temp_directory_path() / ("fs-api-" + std::to_string(::getpid()) + ".sock")).string();
  std::unique_ptr<io::RpcServer> server_;
};

TEST_F(HandlerTest, StatusHasTheWholeContract) {
  const auto status = ask({{"verb", "status"}});
  ASSERT_TRUE(status) << status.error().what;
  EXPECT_EQ(status->at("controller"), (json{{"alive", true}, {"term", 7}}));
  EXPECT_EQ(status->at("data_age_ms"), 0);
  EXPECT_TRUE(status->at("gateways").is_array());
  const auto& shop = status->at("resources").at(0);
  for (const auto* field : {"name", "phase", "step", "epoch", "autonomy", "paused", "frozen", "outlook", "table",
                            "shadow", "last_outcome", "tuning", "blocked_until_ms", "blocked_why", "pending"})
    EXPECT_TRUE(shop.contains(field)) << field;
  EXPECT_EQ(shop.at("name"), "shop");
  EXPECT_EQ(shop.at("phase"), "observing");
  EXPECT_EQ(shop.at("autonomy"), "observe");
  EXPECT_EQ(shop.at("table").at("current").at("id"), "shop-a");
  EXPECT_TRUE(shop.at("outlook").is_null());
}

TEST_F(HandlerTest, ACommandIsSubmittedWithItsActor) {
  const auto answer = command(Verb::pause);
  ASSERT_TRUE(answer) << answer.error().what;
  EXPECT_EQ(*answer, (json{{"accepted", true}, {"note", ""}}));
  ASSERT_EQ(submitted_.size(), 1U);
  EXPECT_EQ(submitted_[0].first, "shop");
  EXPECT_EQ(submitted_[0].second, (Command{Verb::pause, "ann@host", "because"}));
}

TEST_F(HandlerTest, EveryResourceCanBePausedAtOnceButNotHandedOver) {
  EXPECT_TRUE(command(Verb::pause, ""));
  EXPECT_TRUE(command(Verb::resume, ""));
  EXPECT_EQ(command(Verb::handover, "").error(), (Error{Code::invalid, "handover needs the name of a resource"}));
  EXPECT_EQ(submitted_.size(), 2U);
}

TEST_F(HandlerTest, AnUnknownResourceIsMetWithThoseThatExist) {
  EXPECT_EQ(command(Verb::pause, "shpo").error(), (Error{Code::invalid, "no resource named 'shpo'; there are: shop"}));
  EXPECT_TRUE(submitted_.empty());
}

TEST_F(HandlerTest, AFailoverIsAdmittedWhereSomebodyCouldServe) {
  EXPECT_EQ(command(Verb::failover).error(),
            (Error{Code::refused, "shop keeps no data of its own, so nothing fails over: foreshadow handover shop"}));
  auto& shop = state_.resources.at("shop");
  shop.resource.traits = {.fences = true};
  EXPECT_EQ(command(Verb::failover).error(),
            (Error{Code::refused, "shop has no shadow that could serve now (it is observing): start its primary again"}));
  shop.standby = Instance{.id = "shop-b", .endpoint = {"127.0.0.1", 9002}};
  EXPECT_EQ(command(Verb::failover)->at("note"), "its primary is not known to be dead; it will be fenced");
  shop.failover.dead_since = time_from_ms(1'500);
  EXPECT_EQ(command(Verb::failover)->at("note"), "");
  shop.phase = Phase::handing_over;
  EXPECT_EQ(command(Verb::failover).error(), (Error{Code::refused, "shop is being handed over"}));
  shop.failover.under_way = true;
  EXPECT_EQ(command(Verb::failover)->at("note"), "one is under way; what it may lose is raised");
}

TEST_F(HandlerTest, WhatCannotBeDoneNowIsRefusedWithTheReason) {
  EXPECT_EQ(
      command(Verb::rollback).error(),
      (Error{
          Code::refused,
          "shop has nothing to roll back to: that is possible while its old primary is watched, and it is observing"}));
  EXPECT_EQ(command(Verb::abort)->at("note"), "nothing was under way that could be aborted");
  EXPECT_EQ(command(Verb::approve)->at("note"), "nothing was waiting; the next handover is approved in advance");
  auto& shop = state_.resources.at("shop");
  shop.paused = true;
  EXPECT_EQ(command(Verb::handover).error(),
            (Error{Code::refused, "shop is paused; lift that first: foreshadow resume"}));
  shop.paused = false;
  shop.phase = Phase::handing_over;
  shop.step = HandoverStep::switching;
  EXPECT_EQ(
      command(Verb::abort).error(),
      (Error{Code::refused,
             "shop is past the point of no return; foreshadow rollback is possible once the handover has ended"}));
  shop.step = HandoverStep::none;
  shop.phase = Phase::watching;
  EXPECT_TRUE(command(Verb::rollback));
  shop.old_died_at = time_from_ms(1'500);
  EXPECT_EQ(command(Verb::rollback).error(),
            (Error{Code::refused, "the old primary of shop has failed, as was foreseen"}));
  EXPECT_EQ(command(Verb::handover).error(),
            (Error{Code::refused, "shop is watching: it can be handed over again once it is observing"}));
}

TEST_F(HandlerTest, ThePlanSaysWhatWouldBeDoneAndWhatIsInTheWay) {
  const auto plan = ask({{"verb", "plan"}, {"resource", "shop"}});
  ASSERT_TRUE(plan) << plan.error().what;
  EXPECT_EQ(plan->at("provision"), "no changes");
  EXPECT_FALSE(plan->at("lines").empty());
  EXPECT_TRUE(plan->at("drain").is_null()) << "no gateway has told of any work";
  GatewayReport report;
  report.segments.emplace_back().current.latency.record(1000);
  reports_.push_back(report);
  const auto informed = ask({{"verb", "plan"}, {"resource", "shop"}});
  EXPECT_EQ(informed->at("drain").at("in_time"), 1.0);
  EXPECT_NE(informed->at("lines").back().get<std::string>().find("expected drain: p50 "), std::string::npos);
  EXPECT_EQ(plan->at("refused"), "autonomy is observe: this only says what it would do");
  EXPECT_EQ(ask({{"verb", "plan"}, {"resource", "x"}}).error(), (Error{Code::invalid, "no resource named 'x'"}));
}

TEST_F(HandlerTest, RequestsThatMakeNoSenseAreAnsweredNotObeyed) {
  EXPECT_EQ(ask({{"verb", "destroy"}}).error(),
            (Error{Code::invalid, "unknown verb 'destroy'; there are: ping, status, command, plan"}));
  EXPECT_EQ(ask({{"word", 1}}).error().code, Code::invalid);
  EXPECT_EQ(ask({{"verb", "command"},
                 {"resource", "shop"},
                 {"command", {{"verb", "explode"}, {"actor", "a"}, {"reason", ""}}}})
                .error()
                .code,
            Code::invalid);
  EXPECT_EQ(ask({{"verb", "command"}, {"resource", "shop"}, {"command", Command{Verb::pause, "", ""}}}).error(),
            (Error{Code::invalid, "a command needs an actor of 1 to 128 bytes"}));
  EXPECT_EQ(
      ask({{"verb", "command"}, {"resource", "shop"}, {"command", Command{Verb::pause, "a", std::string(2000, 'x')}}})
          .error(),
      (Error{Code::invalid, "the reason is longer than 1024 bytes"}));
  starting_ = true;
  EXPECT_EQ(ask({{"verb", "status"}}).error(),
            (Error{Code::unreachable, "the controller is still starting; ask again"}));
  EXPECT_TRUE(submitted_.empty());
}

}  // namespace
}  // namespace foreshadow::api
