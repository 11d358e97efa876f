#include "kinds/postgres/gateway/tracker.hpp"

#include <algorithm>

#include "kinds/postgres/gateway/message.hpp"

namespace foreshadow::kinds::pg_gateway {
namespace {

constexpr std::size_t unnamed_bytes_max = 32 << 10;
constexpr std::size_t settings_bytes_max = 64 << 10;
constexpr std::size_t names_max = 20'000;

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
      if (parse) {
        request.name = parse->name;
        request.inspected = look(parse->query);
        // A named statement may be run again at any time, after its effect was thought to be over.
        if (!request.name.empty() && !request.inspected->effects.empty())
          pending_.push_back({Effect::Kind::pin, {}, "prepared statement that changes the session"});
        if (request.name.empty() && m.body.size() <= unnamed_bytes_max) request.raw = message('P', m.body);
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
        request.may_commit = unnamed_ && unnamed_->may_commit;
        request.rolls_back = unnamed_ && unnamed_->rolls_back;
      } else {
        request.may_commit = true;  // a named statement's text is long forgotten
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
      if (front_is(Kind::parse)) {
        auto& parse = queue_.front();
        if (parse.name.empty()) {
          unnamed_too_large_ = parse.raw.empty();
          unnamed_parse_ = std::move(parse.raw);
        } else {
          pending_.push_back({Effect::Kind::prepare, parse.name, {}});
        }
      }
      return pop_expected(Kind::parse);
    }
    case '2':
      while (front_is(Kind::copy_end)) queue_.pop_front();
      if (front_is(Kind::bind) && queue_.front().inspected) {
        const auto& inspected = *queue_.front().inspected;
        pending_.insert(pending_.end(), inspected.effects.begin(), inspected.effects.end());
        savepoint_rollback_ = savepoint_rollback_ || inspected.to_savepoint;
      }
      return pop_expected(Kind::bind);
    case '3':
      while (front_is(Kind::copy_end)) queue_.pop_front();
      // Its answer is certain, and no rollback brings the statement back: no need to wait for the transaction's end.
      // But a Parse of the same name may still be pending, and comes first.
      if (front_is(Kind::close) && !queue_.front().name.empty()) {
        const auto& name = queue_.front().name;
        std::erase_if(pending_, [&](const Effect& e) { return e.kind == Effect::Kind::prepare && e.name == name; });
        prepared_.erase(name);
      }
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
      while (front_is(Kind::copy_end)) queue_.pop_front();
      if (front_is(Kind::execute)) queue_.pop_front();
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
  error_seen_ = true;
  copying_in_ = copying_out_ = false;
  while (front_is(Kind::copy_end)) queue_.pop_front();
  if (queue_.empty() || front_is(Kind::query) || front_is(Kind::function) || front_is(Kind::sync)) return;
  while (!queue_.empty() && !front_is(Kind::sync)) {
    const auto& dropped = queue_.front();
    if (dropped.kind == Kind::query || dropped.kind == Kind::function) --ready_owed_;
    if (dropped.kind == Kind::parse && dropped.name.empty()) unnamed_parse_.clear();
    queue_.pop_front();
  }
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
    const auto& inspected = queue_.front().inspected;
    pending_.insert(pending_.end(), inspected->effects.begin(), inspected->effects.end());
    savepoint_rollback_ = savepoint_rollback_ || inspected->to_savepoint;
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
  if (status == 'I') resolve_segment();
  // Out of step we never call it idle again: the session lives on where it is.
  busy_ = out_of_step_ || !queue_.empty() || status != 'I' || skipping_;
}

// A transaction, or a run of statements each its own, is over: what it did to the session becomes known.
void Tracker::resolve_segment() {
  const bool undone = error_seen_ || rollback_seen_;
  // COMMIT and a failure in one go: which settings were made in which part cannot be told from tags.
  const bool doubtful = commit_seen_ && undone;
  for (const auto& effect : pending_) apply(effect, !undone, doubtful || (undone && savepoint_rollback_));
  pending_.clear();
  error_seen_ = commit_seen_ = rollback_seen_ = savepoint_rollback_ = false;
}

void Tracker::drop_setting(const std::string& name) {
  std::erase_if(settings_, [&](const Setting& s) {
    if (s.name != name) return false;
    settings_bytes_ -= s.text.size();
    return true;
  });
}

void Tracker::apply(const Effect& e, bool committed, bool doubtful) {
  using Kind = Effect::Kind;
  const auto pin = [&](std::string_view reason) {
    if (pin_.empty()) pin_ = reason;
  };
  switch (e.kind) {
    case Kind::setting:
    case Kind::reset:
    case Kind::reset_all:
      if (doubtful) return pin("a setting that may or may not have been rolled back");
      if (!committed) return;
      ++settings_version_;
      if (e.kind == Kind::reset_all) {
        std::erase_if(settings_, [&](const Setting& s) {
          if (s.name == "role" || s.name == "session authorization") return false;
          settings_bytes_ -= s.text.size();
          return true;
        });
        return;
      }
      drop_setting(e.name);
      if (e.kind == Kind::reset) return;
      settings_bytes_ += e.text.size();
      settings_.push_back({e.name, e.text});
      if (settings_bytes_ > settings_bytes_max) pin("more settings than can be repeated");
      return;
    // Not undone by a rollback, so said to exist even when an error came in between.
    case Kind::prepare:
      if (prepared_.size() >= names_max) return pin("too many prepared statements");
      prepared_.insert(e.name);
      return;
    case Kind::hold_cursor:
      if (cursors_.size() >= names_max) return pin("too many cursors");
      cursors_.insert(e.name);
      return;
    case Kind::advisory_lock:
      advisory_ = true;
      return;
    case Kind::pin:
      return pin(e.text);
    case Kind::listen:
      if (!committed && !doubtful) return;
      if (listening_.size() >= names_max) return pin("too many LISTENs");
      listening_.insert(e.name);
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
    case Kind::deallocate:
      prepared_.erase(e.name);
      return;
    case Kind::deallocate_all:
      prepared_.clear();
      return;
    case Kind::unlisten:
      listening_.erase(e.name);
      return;
    case Kind::unlisten_all:
      listening_.clear();
      return;
    case Kind::close_cursor:
      cursors_.erase(e.name);
      return;
    case Kind::close_all:
      cursors_.clear();
      return;
    case Kind::advisory_unlock_all:
      advisory_ = false;
      return;
    case Kind::discard_temporary:
      temporary_ = false;
      return;
    case Kind::discard_all:
      settings_.clear();
      settings_bytes_ = 0;
      ++settings_version_;
      prepared_.clear();
      listening_.clear();
      cursors_.clear();
      advisory_ = temporary_ = false;
      pin_.clear();
      return;
    default:
      return;
  }
}

std::string_view Tracker::pinned() const {
  if (out_of_step_) return "answers out of step with requests";
  if (!prepared_.empty()) return "named prepared statement";
  if (!listening_.empty()) return "LISTEN";
  if (temporary_) return "temporary table";
  if (!cursors_.empty()) return "cursor WITH HOLD";
  if (advisory_) return "session advisory lock";
  if (!pin_.empty()) return pin_;
  if (unnamed_too_large_) return "unnamed prepared statement larger than 32 KiB";
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
