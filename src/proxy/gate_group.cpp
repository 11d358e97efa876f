#include "proxy/gate_group.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/assert.hpp"
#include "proxy/on_loop.hpp"
#include "proxy/report_sum.hpp"

namespace foreshadow::proxy {
namespace {

// The one state of gates that have had the same commands. Requires: none refused.
GateState joint(const std::vector<Result<GateState>>& states) {
  auto state = *states.front();
  for (const auto& other : states) {
    FS_ASSERT(other->table == state.table && other->seal == state.seal && other->behind == state.behind);
    // A hold that one refused has told the others of its term.
    state.term = std::max(state.term, other->term);
    if (!state.hold) state.hold = other->hold;
  }
  return state;
}

template <class T>
const Error* first_error(const std::vector<Result<T>>& answers) {
  const auto found = std::ranges::find_if(answers, [](const Result<T>& answer) { return !answer; });
  return found == answers.end() ? nullptr : &found->error();
}

}  // namespace

class GateGroup::Drain {
 public:
  Drain(std::size_t gates, std::uint64_t epoch) : next_epoch(epoch), left_(gates) {}

  // One gate's, once; on its thread.
  void done(const Result<void>& result) {
    const std::lock_guard lock(mutex_);
    --left_;
    if (told_ || (result && left_ > 0)) return;
    told_ = true;
    promise_.set_value(result);
  }
  Result<void> wait() { return promise_.get_future().get(); }

  const std::uint64_t next_epoch;
  std::uint64_t nth = 0;  // of the group's holds

 private:
  std::mutex mutex_;
  std::size_t left_;
  bool told_ = false;
  std::promise<Result<void>> promise_;
};

GateGroup::GateGroup(std::vector<Member> members) : members_(std::move(members)) { FS_ASSERT(!members_.empty()); }

template <class F>
auto GateGroup::each(F call) {
  return ask_each(members_, [](const Member& member) -> auto& { return *member.context; }, call);
}

Result<std::optional<GateState>> GateGroup::propose(const RouteTable& table) {
  const auto proposed = each([&](const Member& member) { return member.gate->propose(table); });
  if (const auto* error = first_error(proposed)) return tl::make_unexpected(*error);
  std::vector<Result<GateState>> next;
  for (const auto& one : proposed)
    if (*one) next.emplace_back(**one);
  if (next.empty()) return std::optional<GateState>{};
  return std::optional(joint(next));
}

void GateGroup::put_in_force(const RouteTable& table) {
  if (members_.size() == 1) {
    each([&](const Member& member) { member.gate->put_in_force(table); });
    return;
  }
  const auto opens = each([&](const Member& member) { return member.gate->put_in_place(table) ? 1 : 0; });
  if (std::ranges::find(opens, 1) != opens.end()) each([&](const Member& member) { member.gate->open_up(); });
}

Result<GateGroup::Held> GateGroup::hold(std::uint64_t term, std::uint64_t next_epoch, const HoldPolicy& policy,
                                        InFlight in_flight) {
  // Shared: a gate may answer while whoever asked is still writing, and must not find it gone.
  auto drain = std::make_shared<Drain>(members_.size(), next_epoch);
  // One alone counts from when it hears of it, however long that took.
  const bool alone = members_.size() == 1;
  const auto asked = std::chrono::steady_clock::now();
  const auto begun = each([&](const Member& member) -> Result<GateState> {
    const auto from = alone ? std::chrono::steady_clock::now() : asked;
    FS_CHECK(member.gate->hold(
        term, next_epoch, policy, [drain](const Result<void>& result) { drain->done(result); }, from, in_flight));
    return member.gate->state();
  });
  if (const auto* error = first_error(begun)) {
    // Where all refuse, nothing has changed, and an earlier hold goes on.
    if (std::ranges::any_of(begun, [](const auto& answer) { return answer.has_value(); }))
      each([&](const Member& member) { member.gate->give_up_hold(next_epoch); });
    return tl::make_unexpected(*error);
  }
  drain->nth = ++holds_;
  return Held{joint(begun), std::move(drain)};
}

Result<void> GateGroup::wait(Drain& drain) { return drain.wait(); }

void GateGroup::give_up(const Drain& drain) {
  if (drain.nth == holds_) each([&](const Member& member) { member.gate->give_up_hold(drain.next_epoch); });
}

Result<GateState> GateGroup::seal(std::uint64_t term, std::uint64_t next_epoch) {
  struct Answer {
    bool fresh = false;
    Result<GateState> sealed;
  };
  const auto answers = each([&](const Member& member) -> Answer {
    const bool fresh = !member.gate->state().seal;
    if (auto sealed = member.gate->seal(term, next_epoch); !sealed) return {false, tl::make_unexpected(sealed.error())};
    return {fresh, member.gate->state()};
  });
  std::vector<Result<GateState>> sealed;
  sealed.reserve(answers.size());
  for (const auto& answer : answers) sealed.push_back(answer.sealed);
  if (const auto* error = first_error(sealed)) {
    std::vector<Member> back;
    for (std::size_t i = 0; i < members_.size(); ++i)
      if (answers[i].fresh) back.push_back(members_[i]);
    if (!back.empty()) GateGroup(std::move(back)).unseal();
    return tl::make_unexpected(*error);
  }
  return joint(sealed);
}

void GateGroup::unseal() {
  each([](const Member& member) { member.gate->unseal(); });
}

std::vector<std::future<void>> GateGroup::hear_out() {
  std::vector<std::future<void>> heard;
  for (const auto& member : members_) {
    auto promise = std::make_shared<std::promise<void>>();
    heard.push_back(promise->get_future());
    boost::asio::post(*member.context,
                      [gate = member.gate, promise] { gate->hear_out([promise] { promise->set_value(); }); });
  }
  return heard;
}

Result<GateState> GateGroup::propose_release(std::uint64_t term, std::uint64_t next_epoch) {
  const auto proposed = each([&](const Member& member) { return member.gate->propose_release(term, next_epoch); });
  if (const auto* error = first_error(proposed)) return tl::make_unexpected(*error);
  return joint(proposed);
}

void GateGroup::release(std::uint64_t term, std::uint64_t next_epoch) {
  each([&](const Member& member) { member.gate->release(term, next_epoch); });
}

GateState GateGroup::state() {
  return joint(each([](const Member& member) -> Result<GateState> { return member.gate->state(); }));
}

Result<nlohmann::json> GateGroup::differences() const { return members_.front().protocol->differences(); }

GatewayReport GateGroup::report() {
  auto reports = each([](const Member& member) {
    auto report = member.gate->report();
    report.mirror_pace = member.protocol->mirror_pace();
    member.protocol->describe(report);
    return report;
  });
  for (std::size_t i = 1; i < reports.size(); ++i) add_to(reports.front(), reports[i]);
  return std::move(reports.front());
}

}  // namespace foreshadow::proxy
