#include "act/agent/client.hpp"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

#include "domain/json.hpp"
#include "io/rpc.hpp"

namespace foreshadow::act {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// Longer than the agent's own deadline for each step, so that its reason reaches us instead of our timeout.
constexpr Millis kLook = 10s;
constexpr Millis kStep = 60s;
constexpr Millis kStart = 5min;   // a revive replays WAL
constexpr Millis kRestart = 15s;  // of an agent, under its supervisor
constexpr Millis kAskAgain = 100ms;
constexpr Millis kRejoin = 30min;  // a rewind copies what differs

json authority(const Authority& who) { return {{"resource", who.resource}, {"term", who.term}, {"epoch", who.epoch}}; }

class Caller {
 public:
  explicit Caller(AgentAddress address) : address_(std::move(address)) {}

  Result<json> ask(const char* verb, json request, Millis timeout, std::stop_token stop) const {
    request["verb"] = verb;
    request["kind"] = address_.kind;
    request["options"] = address_.options;
    auto answer = io::rpc_call(address_.socket_path, request, timeout, std::move(stop));
    if (!answer && answer.error().code == Code::unreachable)
      return fail(Code::unreachable, "no agent answers: " + answer.error().what);
    return answer;
  }

 private:
  AgentAddress address_;
};

// A wrong type here means an agent of another version.
template <class T>
Result<T> as(Result<json> answer) {
  if (!answer) return tl::make_unexpected(std::move(answer).error());
  return decode<T>(*answer);
}

Result<Finding> finding(Result<json> answer) {
  if (!answer) return tl::make_unexpected(std::move(answer).error());
  try {
    return Finding{.text = answer->at("text"), .facts = answer->at("facts")};
  } catch (const json::exception& e) {
    return fail(Code::invalid, std::string("the agent's answer: ") + e.what());
  }
}

class RemotePromoter final : public Promoter {
 public:
  explicit RemotePromoter(AgentAddress address) : caller_(std::move(address)) {}

  Result<std::string> prepare(const Authority& who, const Instance& primary, const Instance& shadow,
                              std::stop_token stop) override {
    return as<std::string>(
        caller_.ask("prepare", {{"who", authority(who)}, {"primary", primary}, {"shadow", shadow}}, kStep, stop));
  }
  Result<std::string> prove_equal(const Authority& who, const Instance& primary, const Instance& shadow,
                                  std::stop_token stop) override {
    return as<std::string>(
        caller_.ask("prove_equal", {{"who", authority(who)}, {"primary", primary}, {"shadow", shadow}}, kStep, stop));
  }
  Result<std::string> fence(const Authority& who, const Instance& primary, const Instance& shadow,
                            std::stop_token stop) override {
    return as<std::string>(
        caller_.ask("fence", {{"who", authority(who)}, {"primary", primary}, {"shadow", shadow}}, kStep, stop));
  }
  Result<Finding> check_fenced(const Authority& who, const Instance& primary, const Instance& shadow,
                               const std::string& proof, std::stop_token stop) override {
    return finding(caller_.ask(
        "check_fenced", {{"who", authority(who)}, {"primary", primary}, {"shadow", shadow}, {"proof", proof}}, kStep,
        stop));
  }
  Result<Finding> assess(const Authority& who, const Instance& primary, const Instance& shadow,
                         std::uint64_t loss_max_bytes, std::stop_token stop) override {
    return finding(caller_.ask("assess",
                               {{"who", authority(who)},
                                {"primary", primary},
                                {"shadow", shadow},
                                {"loss_max_bytes", loss_max_bytes}},
                               kStart, stop));
  }
  Result<std::string> promote(const Authority& who, const Instance& shadow, std::stop_token stop) override {
    return as<std::string>(caller_.ask("promote", {{"who", authority(who)}, {"instance", shadow}}, kStep, stop));
  }
  Result<bool> writable(const Instance& instance, std::stop_token stop) override {
    auto answer = as<bool>(caller_.ask("writable", {{"instance", instance}}, kLook, stop));
    if (answer || (answer.error().code != Code::unreachable && answer.error().code != Code::timeout)) return answer;
    // That nobody could look says nothing of the instance.
    if (const auto there = caller_.ask("ping", json::object(), kLook, stop); !there)
      return fail(Code::io, "no agent could look: " + there.error().what);
    return answer;
  }
  Result<std::string> revive(const Authority& who, const Instance& primary, std::stop_token stop) override {
    return as<std::string>(caller_.ask("revive", {{"who", authority(who)}, {"instance", primary}}, kStart, stop));
  }
  Result<std::string> rejoin(const Authority& who, const Instance& old_primary, const Instance& primary,
                             std::stop_token stop) override {
    return as<std::string>(caller_.ask(
        "rejoin", {{"who", authority(who)}, {"instance", old_primary}, {"primary", primary}}, kRejoin, stop));
  }

 private:
  Caller caller_;
};

class RemoteReplicator final : public Replicator {
 public:
  explicit RemoteReplicator(AgentAddress address) : caller_(std::move(address)) {}

  Result<std::string> follow(const Instance& primary, const Instance& shadow, Millis timeout, const Progress& progress,
                             std::stop_token stop) override {
    const json request{{"primary", primary}, {"shadow", shadow}, {"timeout_ms", timeout}};
    const auto deadline = Clock::now() + timeout + kLook;
    std::optional<Clock::time_point> heard;
    std::string told;
    while (Clock::now() < deadline) {
      // The agent answers when something has changed, or after a moment: this loop does not spin.
      auto answer = caller_.ask("follow", request, kLook, stop);
      if (!answer) {
        if (stop.stop_requested()) abandon(shadow);
        // An agent that is restarted takes its copy with it, and finds what to do when asked again.
        const auto code = answer.error().code;
        const bool silent = code == Code::unreachable || code == Code::timeout;
        if (!silent || !heard || Clock::now() - *heard > kRestart || !wait(stop, kAskAgain))
          return tl::make_unexpected(std::move(answer).error());
        continue;
      }
      heard = Clock::now();
      try {
        const std::string state = answer->at("state");
        if (state == "failed") return tl::make_unexpected(answer->at("error").get<Error>());
        const std::string detail = answer->at("detail");
        if (state == "done") return detail;
        if (progress && detail != told) progress(answer->at("fraction"), told = detail);
      } catch (const json::exception& e) {
        return fail(Code::invalid, std::string("the agent's answer to follow: ") + e.what());
      }
    }
    abandon(shadow);
    return fail(Code::timeout, "the shadow was not ready in time");
  }
  Result<ReplicaState> state(const Instance& primary, const Instance& shadow, std::stop_token stop) override {
    FS_TRY(answer, caller_.ask("replica_state", {{"primary", primary}, {"shadow", shadow}}, kLook, stop));
    try {
      return ReplicaState{.following = answer.at("following"),
                          .lag = answer.at("lag_ms").get<std::optional<Millis>>(),
                          .lag_bytes = answer.at("lag_bytes").get<std::optional<std::uint64_t>>(),
                          .detail = answer.at("detail")};
    } catch (const json::exception& e) {
      return fail(Code::invalid, std::string("the agent's answer to replica_state: ") + e.what());
    }
  }
  Result<void> forget(const Instance& primary, const Instance& shadow, std::stop_token stop) override {
    FS_TRY(answer, caller_.ask("forget", {{"primary", primary}, {"shadow", shadow}}, kStep, stop));
    static_cast<void>(answer);
    return {};
  }

 private:
  // False: told to stop.
  static bool wait(const std::stop_token& stop, Millis pause) {
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::unique_lock lock(mutex);
    stopped.wait_for(lock, stop, pause, [] { return false; });
    return !stop.stop_requested();
  }
  // Told to stop ourselves, we still say so to the agent: a base copy nobody wants loads a dying primary.
  void abandon(const Instance& shadow) {
    const auto answer = caller_.ask("abandon", {{"shadow", shadow}}, kLook, {});
    static_cast<void>(answer);  // if it is not heard, the job's lease ends it
  }

  Caller caller_;
};

}  // namespace

std::unique_ptr<Replicator> remote_replicator(AgentAddress address) {
  return std::make_unique<RemoteReplicator>(std::move(address));
}
std::unique_ptr<Promoter> remote_promoter(AgentAddress address) {
  return std::make_unique<RemotePromoter>(std::move(address));
}

}  // namespace foreshadow::act
