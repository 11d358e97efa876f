#include "kinds/http/session/errand.hpp"

#include <algorithm>
#include <utility>

#include "kinds/http/session/deadline.hpp"

namespace foreshadow::kinds::http {

using Steady = Watch::Steady;

namespace {
// A method that is safe may be sent twice, but not an offer to become something else: that never meets a connection
// that may just be closing, and so is never sent again.
Millis idle_age_max(const Claim& claim) {
  if (claim.upgrade) return Millis{0};
  return claim.safe ? kIdleAgeMax : kIdleAgeMaxUnsafe;
}
}  // namespace

Errand::Errand(Core& core, proxy::Gate& gate, Arrival& client, const Request& request, Account& account, Copy& copy,
               proxy::Pass pass, std::function<bool()> gone)
    : core_(core),
      gate_(gate),
      client_(client),
      request_(request),
      account_(account),
      copy_(copy),
      held_(std::move(pass)),
      claim_(claim_of(request, core.rules[request.segment].idempotency_key)),
      cover_(core, gate, client, request, std::move(gone)),
      work_(held_->work()),
      connect_timeout_(std::min(left_of(request, core.rules[request.segment].upstream_timeout), kConnectMax)),
      idle_age_max_(idle_age_max(claim_)) {
  if (!claim_.upgrade && may_mirror(core, gate, request, *held_))
    shadow_ = choice_.choose(core.trial, gate, *held_, request.received_at);
  if (core.access_log) account.enter(held_->target().id, held_->side(), shadow_ != nullptr);
  account.bytes_in = request.body.size();
  copy.begin(shadow_ && !request.whole);
  cover_.begin(*held_);
}

std::optional<Pool::Got> Errand::kept() {
  return core_.pool->kept(held_->target(), idle_age_max_, claim_.safe && claim_.whole, claim_.upgrade);
}

Errand::Next Errand::tried(Got& got, const Attempt& attempt) {
  if (got && !claim_.safe && core_.insurer) core_.insurer->wrote(client_, request_.head, Steady::now());
  if (got && attempt.end == End::answered) return Next::relay;
  const Tried tried{.connected = got.has_value(),
                    .attempt = attempt,
                    .reused = got && got->reused,
                    .moved = has_moved(gate_, *held_),
                    .may_wait = held_->side() == proxy::Side::current &&
                                Steady::now() - request_.received_at < gate_.unreachable_wait(),
                    .resent = resent_,
                    .again = again_};
  const auto retry = may_retry(claim_, tried);
  account_.retried = account_.retried || retry != Retry::no;
  idle_age_max_ = Millis{0};
  if (retry == Retry::at_once) {
    resent_ = true;
    return Next::resend;
  }
  in_doubt_ = in_doubt_ || perhaps_done(claim_, tried);
  // What a client spoils says nothing of the instance.
  if (attempt.client_failed()) choice_.forget();
  if (retry == Retry::through_gate && is_given_back(claim_, tried))
    give_back(got ? proxy::Failure::none : proxy::Failure::connect);
  else
    end(got ? failure_of(attempt.end) : proxy::Failure::connect);
  // Where nothing was sent there is nothing to copy, and where it goes now there may be no shadow.
  if (!got || attempt.client_failed() || retry == Retry::through_gate) shadow_.reset();
  // It need not go on for nobody.
  if (got) got->drop();
  return retry == Retry::through_gate ? Next::enter_again : Next::give_up;
}

awaitable<Result<void>> Errand::enter_again() {
  const auto since = Steady::now();
  auto pass = co_await enter_in_time(gate_, request_, work_, work_ == proxy::Work::read);
  account_.waited += Steady::now() - since;
  if (!pass) co_return tl::make_unexpected(std::move(pass.error()));
  held_.emplace(std::move(*pass));
  if (core_.access_log) account_.enter(held_->target().id, held_->side(), false);
  cover_.begin(*held_);
  ++again_;
  co_return Result<void>{};
}

Words Errand::refused(const Error& error) {
  account_.refused = !in_doubt_;
  if (!in_doubt_) gate_.refused(request_.segment);
  return honest({503, error.what, true}, in_doubt_);
}

Words Errand::words(const Got& got, const Attempt& attempt) const {
  return honest(got ? words_for(attempt, claim_.safe) : words_for_no_connection(got.error()), in_doubt_);
}

void Errand::relayed(Pool::Got& got, int status, const Relayed& relayed, bool sent_whole) {
  const bool late = relayed.insured ? relayed.late : relayed.broken && got.timed_out();
  if (relayed.reusable) core_.pool->put(held_->target(), std::move(got.conn));
  // A client that does not take its answer says nothing of the instance, whatever the answer is.
  if (!relayed.whole && !relayed.cut()) choice_.forget();
  end(relayed.cut()    ? failure_of(late ? End::timeout : End::cut)
      : status >= 500  ? proxy::Failure::status_5xx
      : !relayed.whole ? proxy::Failure::client_gone
                       : proxy::Failure::none);
  if (!relayed.whole || relayed.cut()) copy_.drop_answer();
  offer_copy(sent_whole, relayed.cut() ? 0 : status);
}

void Errand::end(proxy::Failure failure) {
  if (failure == proxy::Failure::client_gone) choice_.forget();
  const auto took = std::chrono::duration_cast<proxy::Micros>(Steady::now() - request_.received_at);
  account_.failure = failure;
  held_->finish(failure, took);
  held_.reset();
  choice_.finished(failure == proxy::Failure::none, took);
}

void Errand::offer_copy(bool sent_whole, int primary_status) {
  if (wants_copy()) copy_.offer(core_, gate_, request_, std::move(shadow_), client_, sent_whole, primary_status);
}

void Errand::give_back(proxy::Failure why) {
  choice_.forget();
  held_->give_back(why);
  held_.reset();
}

}  // namespace foreshadow::kinds::http
