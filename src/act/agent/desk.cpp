#include "act/agent/desk.hpp"

#include <fmt/format.h>

#include <mutex>
#include <utility>

#include "act/agent/epochs.hpp"
#include "act/agent/follow_jobs.hpp"
#include "base/log.hpp"
#include "domain/json.hpp"
#include "io/files.hpp"

namespace foreshadow::act {

// Declared in epochs.cpp through FS_JSON_FIELDS.
void to_json(nlohmann::json& j, const EpochRecord& v);

namespace {

using nlohmann::json;

struct Question {
  std::string verb;
  std::string kind;
  std::map<std::string, std::string> options;
  Authority who;
  Instance primary, shadow, instance;
  std::string proof;
  std::uint64_t loss_max_bytes = 0;
  Millis timeout{std::chrono::minutes{30}};
};

Question read(const json& j) {
  Question q;
  q.verb = j.at("verb");
  if (j.contains("kind")) q.kind = j.at("kind");
  if (j.contains("options")) j.at("options").get_to(q.options);
  if (j.contains("who")) {
    const auto& who = j.at("who");
    q.who = {.resource = who.at("resource"), .term = who.at("term"), .epoch = who.at("epoch")};
  }
  if (j.contains("primary")) j.at("primary").get_to(q.primary);
  if (j.contains("shadow")) j.at("shadow").get_to(q.shadow);
  if (j.contains("instance")) j.at("instance").get_to(q.instance);
  if (j.contains("proof")) q.proof = j.at("proof");
  if (j.contains("loss_max_bytes")) j.at("loss_max_bytes").get_to(q.loss_max_bytes);
  if (j.contains("timeout_ms")) j.at("timeout_ms").get_to(q.timeout);
  if (j.contains("resource")) q.who.resource = j.at("resource");
  return q;
}

Result<void> need(const Question& q, std::initializer_list<std::pair<const char*, const Instance*>> instances,
                  bool authority) {
  if (authority && (q.who.resource.empty() || q.who.epoch == 0))
    return fail(Code::invalid, q.verb + ": \"who\" must name a resource and an epoch above 0");
  for (const auto& [name, instance] : instances)
    if (instance->id.empty()) return fail(Code::invalid, fmt::format("{}: \"{}\" is missing", q.verb, name));
  return {};
}

template <class T>
Result<json> answer(Result<T> result) {
  if (!result) return tl::make_unexpected(std::move(result).error());
  if constexpr (std::is_void_v<T>)
    return json(nullptr);
  else if constexpr (std::is_same_v<T, Finding>)
    return json{{"text", std::move(result->text)}, {"facts", std::move(result->facts)}};
  else
    return json(std::move(*result));
}

const std::string& text_of(const std::string& result) { return result; }
const std::string& text_of(const Finding& result) { return result.text; }

class RealDesk final : public Desk {
 public:
  RealDesk(DeskSettings settings, io::FileLock lock, std::unique_ptr<EpochBook> book)
      : settings_(std::move(settings)), lock_(std::move(lock)), book_(std::move(book)), jobs_(settings_.follow_lease) {}
  ~RealDesk() override { stop(); }
  void stop() override { stop_.request_stop(); }

  Result<json> handle(const json& request) override {
    try {
      const auto q = read(request);
      return dispatch(q);
    } catch (const json::exception& e) {
      return fail(Code::invalid, std::string("request: ") + e.what());
    }
  }

 private:
  Result<json> dispatch(const Question& q) {
    if (q.verb == "ping") return json("pong");
    if (q.verb == "epochs") return json(book_->record(q.who.resource));
    if (q.verb == "abandon") {
      FS_CHECK(need(q, {{"shadow", &q.shadow}}, false));
      jobs_.abandon(key(q));
      return json(nullptr);
    }
    auto made = settings_.ports(q.kind, q.who.resource, q.options);
    if (!made) return tl::make_unexpected(std::move(made).error());
    if (q.verb == "follow") return follow(q, std::make_shared<HostPorts>(std::move(*made)));
    return step(q, *made);
  }

  Result<json> follow(const Question& q, std::shared_ptr<HostPorts> ports) {
    FS_CHECK(need(q, {{"primary", &q.primary}, {"shadow", &q.shadow}}, false));
    const auto status = jobs_.ask(key(q), [q, ports](const Progress& progress, std::stop_token stop) {
      return ports->replicator->follow(q.primary, q.shadow, q.timeout, progress, std::move(stop));
    });
    // Inside the answer, so that who asks can tell a copy that failed from an agent that did not answer.
    if (!status) return json{{"state", "failed"}, {"error", status.error()}};
    return json{
        {"state", status->done ? "done" : "running"}, {"fraction", status->fraction}, {"detail", status->detail}};
  }

  Result<json> step(const Question& q, HostPorts& ports) {
    const auto stop = stop_.get_token();
    auto& promoter = *ports.promoter;
    if (q.verb == "writable") {
      FS_CHECK(need(q, {{"instance", &q.instance}}, false));
      return answer(promoter.writable(q.instance, stop));
    }
    if (q.verb == "replica_state") {
      FS_CHECK(need(q, {{"primary", &q.primary}, {"shadow", &q.shadow}}, false));
      FS_TRY(state, ports.replicator->state(q.primary, q.shadow, stop));
      return json{{"following", state.following},
                  {"lag_ms", state.lag},
                  {"lag_bytes", state.lag_bytes},
                  {"detail", state.detail}};
    }
    if (q.verb == "forget") {
      FS_CHECK(need(q, {{"primary", &q.primary}, {"shadow", &q.shadow}}, false));
      jobs_.abandon(key(q));
      return answer(ports.replicator->forget(q.primary, q.shadow, stop));
    }
    if (q.verb == "prepare") {
      FS_CHECK(need(q, {{"primary", &q.primary}, {"shadow", &q.shadow}}, true));
      return guarded(q, Step::prepare, q.primary, promoter,
                     [&] { return promoter.prepare(q.who, q.primary, q.shadow, stop); });
    }
    if (q.verb == "prove_equal") {
      FS_CHECK(need(q, {{"primary", &q.primary}, {"shadow", &q.shadow}}, true));
      return guarded(q, Step::prove_equal, q.primary, promoter,
                     [&] { return promoter.prove_equal(q.who, q.primary, q.shadow, stop); });
    }
    if (q.verb == "fence") {
      FS_CHECK(need(q, {{"primary", &q.primary}, {"shadow", &q.shadow}}, true));
      return guarded(q, Step::fence, q.primary, promoter,
                     [&] { return promoter.fence(q.who, q.primary, q.shadow, stop); });
    }
    if (q.verb == "check_fenced") {
      FS_CHECK(need(q, {{"primary", &q.primary}, {"shadow", &q.shadow}}, true));
      return guarded(q, Step::check_fenced, q.primary, promoter,
                     [&] { return promoter.check_fenced(q.who, q.primary, q.shadow, q.proof, stop); });
    }
    if (q.verb == "assess") {
      FS_CHECK(need(q, {{"primary", &q.primary}, {"shadow", &q.shadow}}, true));
      return guarded(q, Step::assess, q.primary, promoter,
                     [&] { return promoter.assess(q.who, q.primary, q.shadow, q.loss_max_bytes, stop); });
    }
    if (q.verb == "promote") {
      FS_CHECK(need(q, {{"instance", &q.instance}}, true));
      return guarded(q, Step::promote, q.instance, promoter, [&] { return promoter.promote(q.who, q.instance, stop); });
    }
    if (q.verb == "revive") {
      FS_CHECK(need(q, {{"instance", &q.instance}}, true));
      return guarded(q, Step::revive, q.instance, promoter, [&] { return promoter.revive(q.who, q.instance, stop); });
    }
    if (q.verb == "rejoin") {
      FS_CHECK(need(q, {{"instance", &q.instance}, {"primary", &q.primary}}, true));
      return guarded(q, Step::rejoin, q.instance, promoter,
                     [&] { return promoter.rejoin(q.who, q.instance, q.primary, stop); });
    }
    return fail(Code::invalid, "the agent knows no verb '" + q.verb + "'");
  }

  template <class Work>
  Result<json> guarded(const Question& q, Step what, const Instance& on, Promoter& promoter, Work work) {
    const std::lock_guard turn(turn_of(q.who.resource));
    FS_TRY(leave, book_->begin(q.who, what, on.id));
    if (leave == Leave::done)
      return json(fmt::format("{} of {}: done before, epoch {} is past it", to_string(what), on.id, q.who.epoch));
    if (leave == Leave::only_look) {
      FS_TRY(writable, promoter.writable(on, stop_.get_token()));
      if (writable) return json(on.id + " was never fenced under this epoch and is writable");
      return fail(Code::refused,
                  on.id + " is not writable, and no fence under this epoch made it so; a person must look");
    }
    const auto result = work();
    if (result)
      log::info("{} {}: {}", q.who.resource, to_string(what), text_of(*result));
    else
      log::warn("{} {}: {}", q.who.resource, to_string(what), result.error().what);
    FS_CHECK(book_->end(q.who, what, on.id, result.map([](const auto& done) { return text_of(done); })));
    return answer(result);
  }

  std::mutex& turn_of(const ResourceId& resource) {
    const std::lock_guard lock(turns_mutex_);
    return turns_[resource];
  }
  static std::string key(const Question& q) { return q.shadow.id + " " + q.shadow.data_dir; }

  const DeskSettings settings_;
  const io::FileLock lock_;
  const std::unique_ptr<EpochBook> book_;
  std::stop_source stop_;
  std::mutex turns_mutex_;
  std::map<ResourceId, std::mutex> turns_;
  FollowJobs jobs_;
};

}  // namespace

Result<std::unique_ptr<Desk>> Desk::open(DeskSettings settings) {
  FS_CHECK(io::make_directory(settings.state_dir));
  const auto base = settings.state_dir + "/agent-" + settings.name;
  FS_TRY(lock, io::FileLock::take(base + ".lock"));
  FS_TRY(book, EpochBook::open(base + "-epochs.json"));
  return std::make_unique<RealDesk>(std::move(settings), std::move(lock), std::move(book));
}

}  // namespace foreshadow::act
