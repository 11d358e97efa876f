#include "kinds/http/session/cover.hpp"

#include <algorithm>

#include "kinds/http/wire/validators.hpp"

namespace foreshadow::kinds::http {

using Steady = Watch::Steady;

namespace {
// What a shadow says before its answer is nobody's.
class Unheard final : public InterimSink {
 public:
  awaitable<bool> interim(const Answer&) override { co_return true; }
};

Millis until(Steady::time_point deadline) {
  return std::max(Millis{1}, std::chrono::duration_cast<Millis>(deadline - Steady::now()));
}
}  // namespace

void Cover::begin(const proxy::Pass& pass) {
  terms_ = nullptr;
  if (!core_.insurer || pass.side() != proxy::Side::current || !request_.whole || !request_.upgrade.empty()) return;
  if (!is_safe(request_.head.method)) return;
  terms_ = core_.insurer->terms(request_.segment);
  if (terms_) failed_ = pass.target().id;
}

bool Cover::counts(int status) const {
  // Whoever drains the instance waits for this request, and should not wait for the shadow too.
  return terms_ && std::ranges::find(terms_->statuses, status) != terms_->statuses.end() && !gate_.parks();
}

bool Cover::choose() {
  if (!terms_ || help_ || is_gone()) return false;
  auto shadow = core_.insurer->shadow_for(gate_, request_.segment, failed_, Steady::now());
  if (!shadow) return false;
  help_ = std::make_unique<Help>(*core_.insurer, request_.segment, std::move(*shadow));
  return true;
}

bool Cover::fail(bool unfit) {
  help_->reader.reset();
  help_->conn.reset();
  help_->asking.reset();
  // Whoever went away meanwhile was not failed.
  if (is_gone()) return false;
  ++core_.insurer->stats(request_.segment).failed;
  if (unfit) core_.insurer->disappointed(request_.segment, help_->shadow.id, Steady::now());
  return false;
}

awaitable<bool> Cover::ask() {
  if (!terms_ || core_.insurer->wrote_lately(client_, request_.head, request_.segment, Steady::now())) co_return false;
  if (!choose()) co_return false;
  if (!co_await send({})) co_return fail(true);
  // Both fail alike: that is no reason to think worse of the shadow.
  if (help_->answer.head.status >= 500) co_return fail(false);
  if (age_seconds(help_->answer.head.fields) > static_cast<std::uint64_t>(terms_->staleness.count()) / 1000)
    co_return fail(false);
  served_ = true;
  ++core_.insurer->stats(request_.segment).served;
  co_return true;
}

awaitable<bool> Cover::send(std::string_view more_fields) {
  const auto deadline = Steady::now() + terms_->wait;
  const auto framing = framing_to_instance(request_);
  std::string out;
  append_head_to_instance(out, core_, request_, framing, help_->shadow, client_, false);
  out.insert(out.size() - 2, more_fields);
  const auto tail = frame_read_ahead(out, request_, framing);
  out.append(request_.body).append(tail);
  Unheard unheard;
  for (Millis idle_age_max = kIdleAgeMax;; idle_age_max = Millis{0}) {
    auto got =
        co_await core_.insurer->pool().get(help_->shadow, std::min(until(deadline), kConnectMax), idle_age_max, true);
    if (!got || is_gone()) co_return false;
    auto& conn = *got->conn;
    conn.watch().arm(until(deadline));
    const auto written = co_await conn.write(out);
    auto end = End::gone;
    if (!written.error)
      end = co_await await_answer(conn, core_.limits, request_, false, help_->answer, help_->framing, unheard);
    if (end == End::gone && got->reused && !conn.timed_out() && !is_gone()) continue;
    if (end != End::answered || is_gone()) co_return false;
    help_->conn = std::move(got->conn);
    co_return true;
  }
}

bool Cover::watch(const Answer& answer, const Framing& framing) {
  if (!terms_ || served_) return false;
  return cut_.emplace().begin(request_.head.method, answer.head, framing);
}

awaitable<bool> Cover::complete() {
  if (!choose()) co_return false;
  const bool again = cut_->passed_bytes() <= terms_->prefix_max;
  // Of part of an answer there is no part that both would call the same.
  if (!again && find_field(request_.head.fields, "range")) co_return fail(false);
  if (!co_await send(again ? std::string{} : cut_->range_fields())) co_return fail(true);
  if (again ? !cut_->fits_whole(help_->answer.head, help_->framing)
            : !cut_->fits_rest(help_->answer.head, help_->framing))
    co_return fail(false);
  help_->reader.emplace(*help_->conn, help_->framing);
  // A tag that is the same for other bytes is no honest one.
  if (again && !co_await skip_what_passed()) co_return fail(true);
  ++core_.insurer->stats(request_.segment).completed;
  co_return true;
}

awaitable<bool> Cover::skip_what_passed() {
  Digest digest;
  for (auto left = cut_->passed_bytes(); left > 0;) {
    help_->conn->watch().arm(terms_->wait);
    if (co_await help_->reader->next() != BodyReader::State::data || is_gone()) co_return false;
    const auto data = help_->reader->data();
    const auto known = static_cast<std::size_t>(std::min<std::uint64_t>(left, data.size()));
    digest.add(data.substr(0, known));
    left -= known;
    help_->rest = data.substr(known);
  }
  co_return cut_->same(digest);
}

void Cover::finish(bool reusable) {
  if (reusable && help_->conn) core_.insurer->pool().put(help_->shadow, std::move(help_->conn));
  help_->asking.reset();
}

}  // namespace foreshadow::kinds::http
