#include "kinds/postgres/gateway/tracker.hpp"

#include <algorithm>
#include <utility>

#include "kinds/postgres/gateway/message.hpp"

namespace foreshadow::kinds::pg_gateway {
namespace {

constexpr std::size_t unnamed_bytes_max = 32 << 10;
constexpr std::size_t script_bytes_max = 1 << 20;
constexpr std::size_t names_max = 20'000;

using Inspected = std::shared_ptr<const Inspection>;

// Most statements, and all alike.
Inspected harmless() {
  static const Inspected one = std::make_shared<const Inspection>();
  return one;
}
// Of a statement made twice under one name, before the server has said which of them it took.
Inspected ambiguous() {
  static const Inspected one = std::make_shared<const Inspection>(
      Inspection{.effects = {{Effect::Kind::pin, {}, "prepared statement used before the server confirmed it"}},
                 .may_commit = true});
  return one;
}
// What remains to be known of a statement once its text is forgotten.
Inspected what_it_does(const Inspected& seen) {
  const bool matters = !seen->effects.empty() || seen->may_commit || seen->rolls_back || seen->to_savepoint;
  return matters ? seen : harmless();
}

// Decides nothing about what a statement's names mean.
bool beside_the_point(std::string_view setting) {
  return setting.find('.') != std::string_view::npos || setting.ends_with("_timeout") || setting == "application_name";
}

}  // namespace

std::shared_ptr<const Inspection> Tracker::look(std::string_view text) {
  last_ = std::make_shared<const Inspection>(inspect(text, backslashes_));
  return last_;
}

void Tracker::push(Request request) {
  busy_ = true;
  if (skipping_ && request.kind != Kind::sync) return;  // the server drops it unseen
  const bool owes_ready = request.kind == Kind::query || request.kind == Kind::function || request.kind == Kind::sync;
  if (owes_ready) ++ready_owed_;
  if (request.kind == Kind::sync) skipping_ = false;
  queue_.push_back(std::move(request));
}

Result<Tracker::Verdict> Tracker::frontend(const Piece& m) {
  switch (m.type) {
    case 'Q': {
      Request request{.kind = Kind::query};
      if (m.whole) {
        const auto text = decode_string(m.body);
        if (!text) return fail(Code::invalid, "Query without a terminator");
        request.inspected = look(*text);
      } else {
        last_ = std::make_shared<const Inspection>(Inspection{
            .effects = {{Effect::Kind::pin, {}, "statement larger than 1 MiB is not inspected"}}, .may_commit = true});
        request.inspected = last_;
      }
      request.may_commit = request.inspected->may_commit;
      request.rolls_back = request.inspected->rolls_back;
      unnamed_ = nullptr;
      push(std::move(request));
      return Verdict::forward;
    }
    case 'P': {
      Request request{.kind = Kind::parse};
      const auto parse = decode_parse(m.body);
      if (m.whole && !parse) return fail(Code::invalid, "malformed Parse");
      if (parse && m.whole) {
        request.name = parse->name;
        request.inspected = look(parse->query);
        if (!request.name.empty()) {
          request.raw = m.body;
          if (!skipping_) ++parses_queued_;
        } else if (m.body.size() <= unnamed_bytes_max) {
          request.raw = message('P', m.body);
        }
      } else {
        last_ = std::make_shared<const Inspection>();
        request.inspected = last_;
        pending_.push_back({Effect::Kind::pin, {}, "statement larger than 1 MiB is not inspected"});
      }
      if (request.name.empty()) unnamed_ = request.inspected;
      push(std::move(request));
      return Verdict::forward;
    }
    case 'B': {
      const auto bind = decode_bind(m.body);
      if (!bind && m.whole) return fail(Code::invalid, "malformed Bind");
      Request request{.kind = Kind::bind};
      if (bind && bind->statement.empty()) {
        request.inspected = unnamed_;
      } else if (bind) {
        request.inspected = named(bind->statement);
        request.may_commit = !request.inspected;  // a statement that nobody saw
      } else {
        request.may_commit = true;
      }
      if (request.inspected) {
        request.may_commit = request.inspected->may_commit;
        request.rolls_back = request.inspected->rolls_back;
      }
      push(std::move(request));
      return Verdict::forward;
    }
    case 'D':
    case 'C': {
      const auto target = decode_target(m.body);
      if (!target) return fail(Code::invalid, "malformed Describe or Close");
      Request request{.kind = m.type == 'D' ? Kind::describe : Kind::close};
      if (target->kind == 'S') request.name = target->name;
      push(std::move(request));
      return Verdict::forward;
    }
    case 'E':
      push({.kind = Kind::execute});
      return Verdict::forward;
    case 'F':
      push({.kind = Kind::function, .may_commit = true});
      return Verdict::forward;
    case 'S':
      if (copying_in_)
        return Verdict::swallow;  // the server ignores it too, but then could not say to which one it answers
      push({.kind = Kind::sync});
      return Verdict::forward;
    case 'c':
    case 'f':
      if (!busy_) return Verdict::swallow;  // behind a COPY that failed: the server drops it
      copying_in_ = false;
      // Outside a COPY the server ignores it without an answer: any number of them is worth one.
      if (queue_.empty() || queue_.back().kind != Kind::copy_end) push({.kind = Kind::copy_end});
      return Verdict::forward;
    case 'd':
    case 'H':
      return busy_ ? Verdict::forward : Verdict::swallow;
    case 'X':
      return Verdict::forward;
    default:
      return fail(Code::invalid, "message of the wrong phase");
  }
}

void Tracker::pop_expected(Kind kind) {
  while (front_is(Kind::copy_end) && kind != Kind::copy_end) queue_.pop_front();
  if (!front_is(kind)) {
    out_of_step_ = true;
    return;
  }
  queue_.pop_front();
}

void Tracker::backend(const Piece& m) {
  switch (m.type) {
    case '1': {
      while (front_is(Kind::copy_end)) queue_.pop_front();
      if (front_is(Kind::parse)) parsed(queue_.front());
      return pop_expected(Kind::parse);
    }
    case '2':
      while (front_is(Kind::copy_end)) queue_.pop_front();
      if (front_is(Kind::bind) && queue_.front().inspected) {
        const auto& inspected = *queue_.front().inspected;
        // Two that wait to be executed could be done in any order, or one of them.
        if (!bound_.empty() && !inspected.effects.empty()) doubt_bound();
        for (const auto& effect : inspected.effects) (effect.at_once() ? bound_ : pending_).push_back(effect);
        savepoint_rollback_ = savepoint_rollback_ || inspected.to_savepoint;
      }
      return pop_expected(Kind::bind);
    case '3':
      while (front_is(Kind::copy_end)) queue_.pop_front();
      // Its answer is certain, and no rollback brings the statement back: no need to wait for the transaction's end.
      if (front_is(Kind::close) && !queue_.front().name.empty())
        apply_at_once({Effect::Kind::deallocate, queue_.front().name, {}}, true);
      return pop_expected(Kind::close);
    case 'T':
    case 'n':
      while (front_is(Kind::copy_end)) queue_.pop_front();
      if (front_is(Kind::describe)) queue_.pop_front();
      return;
    case 'C': {
      const auto tag = decode_string(m.body).value_or(std::string_view{});
      if (tag == "COMMIT") commit_seen_ = true;
      if (tag == "ROLLBACK") rollback_seen_ = true;
      copying_in_ = copying_out_ = false;
      ++tags_;
      while (front_is(Kind::copy_end)) queue_.pop_front();
      if (front_is(Kind::execute)) {
        queue_.pop_front();
        for (const auto& effect : std::exchange(bound_, {})) apply_at_once(effect, true);
      }
      return;
    }
    case 'I':
    case 's':
      while (front_is(Kind::copy_end)) queue_.pop_front();
      if (front_is(Kind::execute)) queue_.pop_front();
      return;
    case 'E':
      return on_error();
    case 'G':
      return on_copy_in();
    case 'H':
      copying_out_ = true;
      return;
    case 'W':
      copying_in_ = copying_out_ = true;
      pin_ = "replication connection";
      return;
    case 'S':
      if (const auto status = decode_parameter_status(m.body); status && status->name == "standard_conforming_strings")
        backslashes_ = status->value == "off";
      return;
    case 'Z':
      return on_ready(decode_ready(m.body).value_or('E'));
    default:
      return;
  }
}

// After an error in an extended request the server drops what follows up to the next Sync, simple queries included.
void Tracker::on_error() {
  error_seen_ = query_failed_ = true;
  copying_in_ = copying_out_ = false;
  while (front_is(Kind::copy_end)) queue_.pop_front();
  if (queue_.empty() || front_is(Kind::query) || front_is(Kind::function) || front_is(Kind::sync)) return;
  while (!queue_.empty() && !front_is(Kind::sync)) {
    const auto& dropped = queue_.front();
    if (dropped.kind == Kind::query || dropped.kind == Kind::function) --ready_owed_;
    if (dropped.kind == Kind::parse && dropped.name.empty()) unnamed_parse_.clear();
    if (dropped.kind == Kind::parse && !dropped.name.empty()) --parses_queued_;
    queue_.pop_front();
  }
  // What failed is not done; but of a lock that it had taken before nobody takes it back.
  for (const auto& effect : std::exchange(bound_, {}))
    if (effect.kind == Effect::Kind::advisory_lock) advisory_ = true;
  skipping_ = queue_.empty();
  unnamed_ = nullptr;
}

// In copy-in mode the server ignores Sync, so those that the client sent along with the COPY will never be answered.
void Tracker::on_copy_in() {
  copying_in_ = true;
  if (!front_is(Kind::execute)) {
    // COPY in a simple Query; the client may already have ended the data.
    if (queue_.size() > 1 && queue_[1].kind == Kind::copy_end) copying_in_ = false;
    return;
  }
  auto at = queue_.begin() + 1;
  while (at != queue_.end() && at->kind == Kind::sync) {
    at = queue_.erase(at);
    --ready_owed_;
  }
  if (at != queue_.end() && at->kind == Kind::copy_end) copying_in_ = false;
}

void Tracker::on_ready(char status) {
  while (front_is(Kind::copy_end)) queue_.pop_front();
  copying_in_ = copying_out_ = false;
  if (front_is(Kind::query)) {
    take_effects(*queue_.front().inspected, query_failed_);
    unnamed_parse_.clear();  // a simple Query ends the unnamed statement
    unnamed_too_large_ = false;
  } else if (!front_is(Kind::function) && !front_is(Kind::sync)) {
    out_of_step_ = true;
  }
  if (!out_of_step_) {
    queue_.pop_front();
    --ready_owed_;
  }
  while (front_is(Kind::copy_end)) queue_.pop_front();
  status_ = status;
  query_failed_ = false;
  tags_ = 0;
  if (status == 'I') resolve_segment();
  // Out of step we never call it idle again: the session lives on where it is.
  busy_ = out_of_step_ || !queue_.empty() || status != 'I' || skipping_;
}

// Of a simple Query that is over.
void Tracker::take_effects(const Inspection& inspected, bool failed) {
  // One statement that failed has done nothing; of several the first may have been done.
  const bool certain = !failed || tags_ == 0;
  for (const auto& effect : inspected.effects) {
    if (!effect.at_once()) {
      pending_.push_back(effect);
    } else if (!failed || !certain) {
      apply_at_once(effect, certain);
    } else if (effect.kind == Effect::Kind::advisory_lock) {
      advisory_ = true;  // it may have been taken before the failure, and stays
    }
  }
  savepoint_rollback_ = savepoint_rollback_ || inspected.to_savepoint;
}

void Tracker::doubt_bound() {
  for (const auto& effect : std::exchange(bound_, {})) apply_at_once(effect, false);
}

// A transaction, or a run of statements each its own, is over: what it did to the session becomes known.
void Tracker::resolve_segment() {
  const bool undone = error_seen_ || rollback_seen_;
  // COMMIT and a failure in one go: which settings were made in which part cannot be told from tags.
  const bool doubtful = commit_seen_ && undone;
  for (const auto& effect : pending_) apply(effect, !undone, doubtful || (undone && savepoint_rollback_));
  pending_.clear();
  bound_.clear();  // no portal outlives its transaction
  error_seen_ = commit_seen_ = rollback_seen_ = savepoint_rollback_ = false;
}

std::shared_ptr<const Inspection> Tracker::named(std::string_view name) const {
  const auto known = named_.find(name);
  const auto confirmed = known == named_.end() ? nullptr : known->second;
  if (parses_queued_ == 0) return confirmed;
  bool closed = false;
  for (auto at = queue_.rbegin(); at != queue_.rend(); ++at) {
    if (at->kind == Kind::close && at->name == name) closed = true;
    if (at->kind != Kind::parse || at->name != name) continue;
    // Closed behind it: the Bind fails, or finds what neither of us knows of.
    if (closed) return ambiguous();
    const bool replaced = confirmed && std::none_of(queue_.rbegin(), queue_.rend(), [&](const Request& r) {
                            return r.kind == Kind::close && r.name == name;
                          });
    return replaced ? ambiguous() : at->inspected;
  }
  return closed ? nullptr : confirmed;
}

std::optional<std::string> Tracker::around() const {
  using Kind = Effect::Kind;
  std::string out;
  for (const auto& e : pending_) {
    const bool sets =
        e.kind == Kind::setting || e.kind == Kind::local_setting || e.kind == Kind::reset || e.kind == Kind::reset_all;
    if (!sets || beside_the_point(e.name)) continue;
    if (e.text.empty() || savepoint_rollback_) return std::nullopt;
    out += e.text + "\n;\n";
  }
  return out;
}

// The server has taken a Parse.
void Tracker::parsed(Request& parse) {
  if (parse.name.empty()) {
    unnamed_too_large_ = parse.raw.empty();
    unnamed_parse_ = std::move(parse.raw);
    return;
  }
  --parses_queued_;
  if (script_.statements() >= names_max) return pin("too many prepared statements");
  auto settings = around();
  doubtful_.erase(parse.name);
  if (!settings) doubtful_.insert(parse.name);
  named_[parse.name] = what_it_does(parse.inspected);
  script_.parse(parse.name, std::move(parse.raw), std::move(settings).value_or(std::string()));
}

void Tracker::apply_at_once(const Effect& e, bool certain) {
  using Kind = Effect::Kind;
  switch (e.kind) {
    case Kind::prepare: {
      if (script_.statements() >= names_max) return pin("too many prepared statements");
      auto settings = around();
      doubtful_.erase(e.name);
      if (!certain || !settings) doubtful_.insert(e.name);
      // SQL's PREPARE takes only statements that read or write rows: what else it may do was seen when it was made.
      named_[e.name] = harmless();
      return script_.prepare(e.name, e.text, std::move(settings).value_or(std::string()));
    }
    case Kind::execute: {
      const auto known = named_.find(e.name);
      if (known != named_.end() && !known->second->effects.empty())
        pin("EXECUTE of a statement that changes the session");
      return;
    }
    case Kind::deallocate:
      // When in doubt it is still there.
      if (!certain) {
        if (named_.contains(e.name)) doubtful_.insert(e.name);
        return;
      }
      doubtful_.erase(e.name);
      named_.erase(e.name);
      return script_.deallocate(e.name);
    case Kind::deallocate_all:
      if (!certain) {
        for (const auto& [name, what] : named_) doubtful_.insert(name);
        return;
      }
      doubtful_.clear();
      named_.clear();
      return script_.deallocate_all();
    case Kind::advisory_lock:
      advisory_ = true;
      return;
    case Kind::advisory_unlock_all:
      if (certain) advisory_ = false;
      return;
    case Kind::discard_all:
      if (!certain) return;
      script_.clear();
      named_.clear();
      doubtful_.clear();
      listening_.clear();
      cursors_.clear();
      pending_.clear();
      advisory_ = temporary_ = false;
      pin_.clear();
      return;
    default:
      return;
  }
}

void Tracker::apply(const Effect& e, bool committed, bool doubtful) {
  using Kind = Effect::Kind;
  switch (e.kind) {
    case Kind::setting:
    case Kind::reset:
    case Kind::reset_all:
      if (doubtful) return pin("a setting that may or may not have been rolled back");
      if (!committed) return;
      if (e.kind == Kind::setting) return script_.set(e.name, e.text);
      if (e.kind == Kind::reset) return script_.reset(e.name, e.text);
      return script_.reset_all();
    // Not undone by a rollback, so said to exist even when an error came in between.
    case Kind::hold_cursor:
      if (cursors_.size() >= names_max) return pin("too many cursors");
      cursors_.insert(e.name);
      return;
    case Kind::pin:
      return pin(e.text);
    case Kind::listen:
      if (doubtful) return pin("LISTEN that may or may not have been rolled back");
      if (!committed) return;
      if (listening_.size() >= names_max) return pin("too many LISTENs");
      listening_[e.name] = e.text;
      return;
    case Kind::unlisten:
    case Kind::unlisten_all:
      if (doubtful) return pin("UNLISTEN that may or may not have been rolled back");
      if (!committed) return;
      if (e.kind == Kind::unlisten) {
        listening_.erase(e.name);
      } else {
        listening_.clear();
      }
      return;
    case Kind::temporary:
      temporary_ = temporary_ || committed || doubtful;
      return;
    default:
      break;
  }
  // What ends a state counts only when it is certain.
  if (!committed) return;
  switch (e.kind) {
    case Kind::close_cursor:
      cursors_.erase(e.name);
      return;
    case Kind::close_all:
      cursors_.clear();
      return;
    case Kind::discard_temporary:
      temporary_ = false;
      return;
    default:
      return;
  }
}

std::string_view Tracker::pinned() const {
  if (out_of_step_) return "answers out of step with requests";
  if (temporary_) return "temporary table";
  if (!cursors_.empty()) return "cursor WITH HOLD";
  if (!pin_.empty()) return pin_;
  if (!doubtful_.empty()) return "prepared statement that cannot be repeated for certain";
  if (script_.bytes() > script_bytes_max) return "more settings and statements than can be repeated";
  if (unnamed_too_large_) return "unnamed prepared statement larger than 32 KiB";
  return {};
}

std::string_view Tracker::anchored() const {
  if (!listening_.empty()) return "LISTEN";
  if (advisory_) return "session advisory lock";
  return {};
}

Tracker::Loss Tracker::loss() const {
  if (!busy_) return Loss::nothing;
  bool in_block = status_ != 'I';
  for (std::size_t i = 0; i < queue_.size(); ++i) {
    const auto& request = queue_[i];
    if (request.may_commit) return Loss::unknown;
    const bool ends = request.kind == Kind::query || request.kind == Kind::sync;
    // Outside a block each Query, and the Sync behind extended requests, commits by itself.
    if (!in_block && ends) return Loss::unknown;
    if (request.rolls_back) in_block = false;
  }
  return Loss::rolled_back;
}

}  // namespace foreshadow::kinds::pg_gateway
