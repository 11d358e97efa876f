// What a server session must be told before it can be the client's: settings and statements in the script's order, and
// what only an orderly handover brings.
#include <algorithm>
#include <boost/asio/use_awaitable.hpp>

#include "kinds/postgres/gateway/session.hpp"

namespace foreshadow::kinds::pg_gateway {

namespace asio = boost::asio;

namespace {

constexpr Millis exchange_max{5000};
constexpr Millis repeat_every{1000};

// Failures that are a standby's, and end with its promotion: what may not be done in recovery.
bool of_recovery(std::string_view sqlstate) {
  return sqlstate == "25006" || sqlstate == "0A000" || sqlstate == "55000";
}

// A literal for text that is plain enough to be one in any encoding; nothing otherwise.
std::optional<std::string> literal(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c < 32 || c > 126 || c == '\\') return std::nullopt;
    out += c;
    if (c == '\'') out += c;
  }
  return out + "'";
}

}  // namespace

// Answers, one for each ReadyForQuery. Requires: nobody else has one on the way there (undisturbed()).
asio::awaitable<Result<Exchange>> Session::exchange(Backend& b, std::string bytes, int ready, Millis within) {
  Exchange answers(ready);
  b.exchange = &answers;
  std::optional<Deadline> deadline;
  if (within > Millis{0}) deadline.emplace(hub_->executor, within, [&] { b.conn->close(); });
  const bool sent = co_await send(*b.conn, bytes);
  while (sent && !answers.done() && !b.dead && !closing_) co_await bell_.wait();
  b.exchange = nullptr;
  bell_.ring();
  if (answers.done()) co_return answers;
  b.dead = true;
  co_return fail(Code::unreachable, b.instance.endpoint.text() + ": connection lost while the session was repeated");
}

asio::awaitable<void> Session::undisturbed(Backend& b) {
  while ((b.exchange || b.catching_up) && !b.dead && !closing_) co_await bell_.wait();
}

// Errors: unreachable; refused where the server would not have it: it stays behind as it is, `flawed`, and starts over
// the next time.
asio::awaitable<Result<void>> Session::follow_script(Backend& b) {
  co_await undisturbed(b);
  if (b.dead || closing_) co_return fail(Code::unreachable, b.instance.endpoint.text() + ": connection lost");
  const auto& script = tracker_.script();
  const auto version = script.version();
  if (b.script_version == version && !b.flawed) co_return Result<void>();
  const bool over = b.flawed || (b.script_version > 0 && b.script_version < script.horizon());
  auto steps = script.steps(over ? 0 : b.script_version);
  if (over) steps.insert(steps.begin(), Script::start_over());
  std::string bytes;
  int ready = 0;
  for (auto& step : steps) {
    bytes += step.bytes;
    ready += step.ready;
    step.bytes.clear();
  }
  if (steps.empty()) {
    b.script_version = version;
    co_return Result<void>();
  }
  b.catching_up = true;
  const auto answers = co_await exchange(b, std::move(bytes), ready, exchange_max);
  b.catching_up = false;
  bell_.ring();
  if (!answers) co_return tl::make_unexpected(answers.error());
  b.script_version = version;
  b.flawed = answers->failed() != nullptr;
  if (!b.flawed) {
    if (repeat_failures_ > 0) {
      repeat_failures_ = 0;
      update_mark();
    }
    co_return Result<void>();
  }
  auto at = static_cast<int>(answers->failed() - answers->answers().data());
  const auto step = std::ranges::find_if(steps, [&](const Script::Step& s) { return (at -= s.ready) < 0; });
  const auto& error = answers->failed()->error;
  repeat_failure_ = (step == steps.end() ? std::string("the session") : step->what) + " cannot be repeated at " +
                    b.instance.id + ": " + error.message;
  if (!of_recovery(error.sqlstate) || !b.in_recovery()) ++repeat_failures_;
  co_return fail(Code::refused, b.instance.endpoint.text() + ": " + repeat_failure_);
}

// Requires: the session is idle. Errors: unreachable; refused, and conflict where trying again would not help.
asio::awaitable<Result<void>> Session::bring_up_to_date(Backend& b) {
  if (const auto followed = co_await follow_script(b); !followed) {
    const bool final = followed.error().code == Code::refused && !b.in_recovery();
    co_return fail(final ? Code::conflict : followed.error().code, followed.error().what);
  }
  auto restored = co_await restore_parameters(b);
  if (restored && arriving_) restored = co_await restore_anchors(b);
  if (!restored) co_return restored;
  if (needs_unnamed_ && !tracker_.unnamed_parse().empty()) {
    // Should it no longer parse, the client's own Bind says so.
    static_cast<void>(co_await exchange(b, tracker_.unnamed_parse() + sync(), 1, exchange_max));
    if (b.dead) co_return fail(Code::unreachable, b.instance.endpoint.text() + ": connection lost");
  }
  co_return Result<void>();
}

// What the server reports without being asked is the truth of the old one, whoever made it so: a function, or another
// default in the configuration. The new one is to say the same.
asio::awaitable<Result<void>> Session::restore_parameters(Backend& b) {
  std::string text;
  for (const auto& [name, value] : told_) {
    const auto there = b.parameters.find(name);
    if (there == b.parameters.end() || there->second == value) continue;
    if (name == "session_authorization" || name == "is_superuser")
      co_return fail(b.in_recovery() ? Code::refused : Code::conflict, "the session would be somebody else: " + name +
                                                                           " is " + there->second + " at " +
                                                                           b.instance.id + ", not " + value);
    bool settable = false;
    for (const std::string_view one : {"DateStyle", "IntervalStyle", "TimeZone", "application_name", "client_encoding",
                                       "default_transaction_read_only", "search_path", "standard_conforming_strings"})
      settable = settable || name == one;
    const auto quoted = literal(value);
    // The client hears of what cannot be helped.
    if (settable && quoted) text += "SELECT pg_catalog.set_config('" + name + "', " + *quoted + ", false);\n";
  }
  if (text.empty()) co_return Result<void>();
  FS_CO_TRY(answers, co_await exchange(b, query(text), 1, exchange_max));
  if (const auto* failed = answers.failed())
    co_return fail(Code::refused, b.instance.endpoint.text() + ": " + failed->error.message);
  co_return Result<void>();
}

// Locks and LISTENs; before anybody else's work goes to that server.
asio::awaitable<Result<void>> Session::restore_anchors(Backend& b) {
  std::string listens;
  for (const auto& [channel, text] : tracker_.listening()) listens += text + "\n;\n";
  const std::string taking = query_taking(locks_);
  if (listens.empty() && taking.empty()) co_return Result<void>();
  FS_CO_TRY(answers,
            co_await exchange(b, (taking.empty() ? "" : query(taking)) + (listens.empty() ? "" : query(listens)),
                              !taking.empty() + !listens.empty(), exchange_max));
  if (!taking.empty() && !all_taken(answers.answers().front(), locks_))
    co_return fail(Code::conflict, "an advisory lock of the session could not be taken at " + b.instance.id);
  if (const auto* failed = answers.failed())
    co_return fail(Code::conflict, b.instance.endpoint.text() + ": " + failed->error.message);
  co_return Result<void>();
}

// Keeps the shadow's connection abreast of what the session has become since, so that a handover finds little to do.
void Session::consider_refresh(const BackendPtr& b) {
  if (b == active_ || b->catching_up || b->exchange || b->dead) return;
  if (b->script_version == tracker_.script().version() && !b->flawed) return;
  if (b->flawed && Clock::now() < repeat_retry_at_) return;
  repeat_retry_at_ = Clock::now() + repeat_every;
  spawn(refresh(b));
}

asio::awaitable<void> Session::refresh(BackendPtr b) {
  ++hub_->warming;
  static_cast<void>(co_await follow_script(*b));
  --hub_->warming;
  if (!closing_) update_mark();
}

}  // namespace foreshadow::kinds::pg_gateway
