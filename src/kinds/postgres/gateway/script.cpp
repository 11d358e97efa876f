#include "kinds/postgres/gateway/script.hpp"

#include <algorithm>
#include <set>

#include "kinds/postgres/gateway/message.hpp"

namespace foreshadow::kinds::pg_gateway {
namespace {

// Statements that are no more and yet remembered: beyond them a server session that lags behind starts over.
constexpr std::size_t closed_max = 64;
constexpr std::size_t group_bytes_max = 64 << 10;

bool is_role(std::string_view name) { return name == "role" || name == "session authorization"; }

// A Query is converted and split into statements before the first of them runs: what decides how that is done must
// stand alone.
bool changes_reading(std::string_view name) {
  return name == "client_encoding" || name == "standard_conforming_strings" || name == "backslash_quote";
}

std::string close_statement(std::string_view name) {
  std::string body = "S";
  body += name;
  body += '\0';
  return message('C', body);
}

std::size_t size_of(const Script::Item& item) { return item.name.size() + item.body.size() + item.around.size(); }

std::string quoted(std::string_view name) { return "\"" + std::string(name) + "\""; }

Script::Step step_of(const Script::Item& item, bool fresh) {
  using Kind = Script::Item::Kind;
  Script::Step step;
  if (item.kind == Kind::close) return {close_statement(item.name) + sync(), 1, "a closed statement"};
  step.what = "prepared statement " + quoted(item.name);
  step.ready = 1;
  if (!item.around.empty()) {
    // The statement stays, what the transaction set does not.
    step.bytes += query("BEGIN;\n" + item.around);
    ++step.ready;
  }
  const std::string close = fresh ? std::string() : close_statement(item.name);
  if (item.kind == Kind::parse) {
    step.bytes += close + message('P', item.body) + sync();
  } else {
    if (!close.empty()) {
      step.bytes += close + sync();
      ++step.ready;
    }
    step.bytes += query(item.body);
  }
  if (!item.around.empty()) {
    step.bytes += query("ROLLBACK");
    ++step.ready;
  }
  return step;
}

}  // namespace

void Script::add(Item item) {
  item.version = ++version_;
  bytes_ += size_of(item);
  items_.push_back(std::move(item));
}

Script::Place Script::erase(Place at) {
  bytes_ -= size_of(*at);
  return items_.erase(at);
}

void Script::set(const std::string& name, std::string text) {
  // Said again and again by clients that take no chances; nothing changes by it if it was the last word anyway.
  for (auto at = items_.rbegin(); at != items_.rend(); ++at) {
    if (at->statement() || at->kind == Item::Kind::close) continue;
    if (at->kind == Item::Kind::setting && at->name == name && at->body == text) return;
    if (at->name == name || at->kind == Item::Kind::reset_all || is_role(at->name) || is_role(name)) break;
  }
  add({.kind = Item::Kind::setting, .name = name, .body = std::move(text)});
  compact();
}

void Script::reset(const std::string& name, std::string text) {
  add({.kind = Item::Kind::reset, .name = name, .body = std::move(text)});
  compact();
}

void Script::reset_all() {
  add({.kind = Item::Kind::reset_all, .body = "RESET ALL"});
  compact();
}

void Script::make(Item item) {
  deallocate(item.name);
  if (const auto closed = closed_.find(item.name); closed != closed_.end()) {
    erase(closed->second);  // who makes it, closes it first
    closed_.erase(closed);
  }
  const std::string name = item.name;
  add(std::move(item));
  statements_[name] = std::prev(items_.end());
}

void Script::parse(const std::string& name, std::string body, std::string around) {
  make({.kind = Item::Kind::parse, .name = name, .body = std::move(body), .around = std::move(around)});
}

void Script::prepare(const std::string& name, std::string text, std::string around) {
  make({.kind = Item::Kind::prepare, .name = name, .body = std::move(text), .around = std::move(around)});
}

void Script::deallocate(const std::string& name) {
  const auto found = statements_.find(name);
  if (found == statements_.end()) return;
  erase(found->second);
  statements_.erase(found);
  if (closed_.size() >= closed_max) {
    for (const auto& [closed, at] : closed_) erase(at);
    closed_.clear();
    horizon_ = ++version_;
  } else {
    add({.kind = Item::Kind::close, .name = name});
    closed_[name] = std::prev(items_.end());
  }
  if (stale_) compact();
}

void Script::deallocate_all() {
  if (statements_.empty()) return;
  for (const auto& [name, at] : statements_) erase(at);
  for (const auto& [name, at] : closed_) erase(at);
  statements_.clear();
  closed_.clear();
  horizon_ = ++version_;
  compact();
}

void Script::clear() {
  items_.clear();
  statements_.clear();
  closed_.clear();
  bytes_ = 0;
  stale_ = false;
  horizon_ = ++version_;
}

// From the end to the front: what is said again later, with no statement in between, need not be said. What sets the
// role also decides what may be set after it, so nothing at all may lie in between.
void Script::compact() {
  std::set<std::string, std::less<>> later, later_roles, ever;
  bool all_later = false;
  bool reset_ever = false;
  stale_ = false;
  for (auto at = items_.end(); at != items_.begin();) {
    --at;
    if (at->kind == Item::Kind::close) continue;
    if (at->statement()) {
      later.clear();
      later_roles.clear();
      all_later = false;
      continue;
    }
    const bool role = at->kind != Item::Kind::reset_all && is_role(at->name);
    // A session's user who is set anew takes the role back, whatever became of that role meanwhile.
    const bool taken_back = at->name == "role" && later_roles.contains("session authorization");
    const bool said_again = role                                ? taken_back || later_roles.contains(at->name)
                            : at->kind == Item::Kind::reset_all ? all_later
                                                                : all_later || later.contains(at->name);
    if (said_again) {
      at = erase(at);
      continue;
    }
    if (role) {
      later_roles.insert(at->name);
    } else {
      later_roles.clear();
      if (at->kind == Item::Kind::reset_all) {
        all_later = true;
      } else {
        later.insert(at->name);
      }
    }
    const bool outlived = !ever.insert(at->name).second || (!role && reset_ever);
    stale_ = stale_ || outlived;
    reset_ever = reset_ever || at->kind == Item::Kind::reset_all;
  }
}

std::vector<Script::Step> Script::steps(std::uint64_t from) const {
  const bool fresh = from == 0;
  std::vector<Step> out;
  std::set<std::string_view> set_before;
  std::string group;
  const auto flush = [&] {
    if (!group.empty()) out.push_back({query(group), 1, "a setting of the session"});
    group.clear();
  };
  for (const auto& item : items_) {
    if (item.version <= from) continue;
    if (item.statement() || item.kind == Item::Kind::close) {
      if (fresh && item.kind == Item::Kind::close) continue;
      flush();
      out.push_back(step_of(item, fresh));
      continue;
    }
    // Nothing to take back where nothing was said.
    if (fresh && item.kind == Item::Kind::reset && !set_before.contains(item.name)) continue;
    if (fresh && item.kind == Item::Kind::reset_all && std::ranges::all_of(set_before, is_role)) continue;
    if (item.kind == Item::Kind::setting) set_before.insert(item.name);
    if (changes_reading(item.name) || item.kind == Item::Kind::reset_all) flush();
    group += item.body + "\n;\n";  // on a line of its own: the text may end in a comment
    if (changes_reading(item.name) || item.kind == Item::Kind::reset_all || group.size() > group_bytes_max) flush();
  }
  flush();
  return out;
}

Script::Step Script::start_over() {
  return {query("RESET SESSION AUTHORIZATION;\nRESET ALL;\nDEALLOCATE ALL"), 1, "a fresh start"};
}

}  // namespace foreshadow::kinds::pg_gateway
