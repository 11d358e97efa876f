#include "config/fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <limits>

#include "base/units.hpp"

namespace foreshadow::config {
namespace {

bool is_identifier(std::string_view text) {
  constexpr std::size_t length_max = 63;
  if (text.empty() || text.size() > length_max) return false;
  const auto alnum = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
  return alnum(text.front()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return alnum(c) || c == '-' || c == '_' || c == '.'; });
}

// A secret in the file would end up in backups, diffs and issue reports.
bool names_secret(std::string_view key) {
  std::string lower;
  for (const char c : key) lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  constexpr std::array<std::string_view, 8> endings{"password", "passwd",      "passphrase",  "secret",
                                                    "token",    "credentials", "private_key", "api_key"};
  return std::any_of(endings.begin(), endings.end(), [&](auto ending) { return lower.ends_with(ending); });
}
bool is_words(const Node& list) {
  return !list.items.empty() && std::all_of(list.items.begin(), list.items.end(), [](const NodePtr& item) {
    return item->type == Node::Type::scalar && !item->text.empty();
  });
}
std::string joined(const Node& list) {
  std::string text;
  for (const auto& item : list.items) {
    if (!text.empty()) text += '\n';
    text += item->text;
  }
  return text;
}

std::string refuse_secret(const std::string& key) {
  return fmt::format(
      "{}: secrets do not belong in this file; write {}_file: with the path of a file only its owner can read", key,
      key);
}

}  // namespace

std::string absolute(const std::string& path, const std::string& base_dir) {
  return (std::filesystem::path(base_dir) / path).lexically_normal().string();
}

Fields::Fields(const Node& map, std::string section, Reading& reading)
    : map_(map), section_(std::move(section)), reading_(reading), problems_before_(reading.problems.count()) {}

const Node* Fields::find(const std::string& key) const {
  for (const auto& entry : map_.entries)
    if (entry.key == key) return entry.value.get();
  return nullptr;
}

Mark Fields::at(const std::string& key) const {
  const auto* node = find(key);
  return node != nullptr ? node->at : map_.at;
}

Mark Fields::at(const std::string& key, const std::string& inner) const {
  const auto* node = find(key);
  if (node == nullptr) return map_.at;
  for (const auto& entry : node->entries)
    if (entry.key == inner) return entry.value->at;
  return node->at;
}

std::string Fields::section_of(const std::string& key) const { return section_.empty() ? key : section_ + "." + key; }

const Node* Fields::ask(const std::string& key, Need need) {
  asked_.push_back(key);
  if (reading_.known != nullptr) (*reading_.known)[section_].insert(key);
  const auto* node = find(key);
  if (node == nullptr && need == Need::required)
    reading_.problems.add(map_.at,
                          fmt::format("{}: missing{}; add it", key, section_.empty() ? "" : " in " + section_));
  if (node != nullptr && node->type == Node::Type::empty) {
    reading_.problems.add(node->at, fmt::format("{}: no value; write one or remove the key", key));
    return nullptr;
  }
  return node;
}

const Node* Fields::ask_for(Node::Type type, const std::string& key, Need need) {
  const auto* node = ask(key, need);
  if (node == nullptr || node->type == type) return node;
  reading_.problems.add(node->at,
                        fmt::format("{}: {} was found where {} belongs", key, name_of(node->type), name_of(type)));
  return nullptr;
}

void Fields::text(const std::string& key, std::string& out, Need need) {
  const auto* node = scalar(key, need);
  if (node == nullptr) return;
  if (node->text.empty()) return problem(key, fmt::format("{}: empty; write a value", key));
  out = node->text;
}

void Fields::path(const std::string& key, std::string& out, Need need) {
  std::string written;
  text(key, written, need);
  if (!written.empty()) out = absolute(written, reading_.base_dir);
}

void Fields::identifier(const std::string& key, std::string& out, Need need) {
  const auto* node = scalar(key, need);
  if (node == nullptr) return;
  if (!is_identifier(node->text))
    return problem(
        key,
        fmt::format(
            "{}: {} is not a name; use up to 63 letters, digits, '-', '_' and '.', starting with a letter or digit",
            key, shown(node->text)));
  out = node->text;
}

void Fields::boolean(const std::string& key, bool& out) {
  const auto* node = scalar(key, Need::optional);
  if (node == nullptr) return;
  if (node->quoted || (node->text != "true" && node->text != "false"))
    return problem(key, fmt::format("{}: {} is neither true nor false; write one of them, without quotes", key,
                                    shown(node->text)));
  out = node->text == "true";
}

void Fields::fraction(const std::string& key, double& out) {
  const auto* node = scalar(key, Need::optional);
  if (node == nullptr) return;
  if (const auto value = parse_fraction(node->text))
    out = *value;
  else
    problem(key, fmt::format("{}: {} is not a fraction; write 0 to 1, or 0% to 100%", key, shown(node->text)));
}

void Fields::duration(const std::string& key, Millis& out, Millis min) {
  const auto* node = scalar(key, Need::optional);
  if (node == nullptr) return;
  const auto value = parse_duration(node->text);
  if (!value)
    return problem(
        key, fmt::format("{}: {} is not a duration; write a number and ms, s, m, h or d", key, shown(node->text)));
  if (*value < min)
    return problem(key,
                   fmt::format("{}: {} is too short; write at least {}", key, shown(node->text), format_duration(min)));
  out = *value;
}

void Fields::integer(const std::string& key, int& out, int min, int max) {
  const auto* node = scalar(key, Need::optional);
  if (node == nullptr) return;
  int value = 0;
  const auto* end = node->text.data() + node->text.size();
  const auto [rest, error] = std::from_chars(node->text.data(), end, value);
  if (error != std::errc{} || rest != end || value < min || value > max)
    return problem(key, fmt::format("{}: {} is not a whole number from {} to {}", key, shown(node->text), min, max));
  out = value;
}

void Fields::bytes(const std::string& key, std::size_t& out, std::size_t min, std::size_t max) {
  const auto* node = scalar(key, Need::optional);
  if (node == nullptr) return;
  const auto value = parse_bytes(node->text);
  if (!value)
    return problem(key, fmt::format("{}: {} is not a size; write a number and B, KiB, MiB, GiB, KB, MB or GB", key,
                                    shown(node->text)));
  if (*value < min || *value > max)
    return problem(key, fmt::format("{}: {} is out of range; write {} to {}", key, shown(node->text),
                                    format_bytes(static_cast<double>(min)), format_bytes(static_cast<double>(max))));
  out = *value;
}

void Fields::texts(const std::string& key, std::vector<std::string>& out) {
  const auto* list = ask_for(Node::Type::list, key, Need::optional);
  if (list == nullptr) return;
  out.clear();
  for (const auto& item : list->items) {
    if (item->type != Node::Type::scalar || item->text.empty())
      reading_.problems.add(item->at,
                            fmt::format("{}: {} was found where a word belongs", key,
                                        item->type == Node::Type::scalar ? "an empty word" : name_of(item->type)));
    else
      out.push_back(item->text);
  }
}

void Fields::text_map(const std::string& key, std::map<std::string, std::string>& out, bool lists) {
  const auto* map = ask_for(Node::Type::map, key, Need::optional);
  if (map == nullptr) return;
  out.clear();
  for (const auto& entry : map->entries) {
    if (names_secret(entry.key))
      reading_.problems.add(entry.at, refuse_secret(entry.key));
    else if (entry.value->type == Node::Type::scalar)
      out[entry.key] = entry.value->text;
    else if (lists && entry.value->type == Node::Type::list && is_words(*entry.value))
      out[entry.key] = joined(*entry.value);
    else
      reading_.problems.add(entry.value->at, fmt::format("{}: {} was found where a single value belongs", entry.key,
                                                         name_of(entry.value->type)));
  }
}

std::optional<std::size_t> Fields::choose(const std::string& key, const std::vector<std::string>& words) {
  const auto* node = scalar(key, Need::optional);
  if (node == nullptr) return std::nullopt;
  const auto word = std::find(words.begin(), words.end(), node->text);
  if (word != words.end()) return static_cast<std::size_t>(word - words.begin());
  problem(key,
          fmt::format("{}: {} is not known{}", key, shown(node->text), suggestion(node->text, words, "write one of")));
  return std::nullopt;
}

void Fields::map(const std::string& key, const std::function<void(Fields&)>& read, Need need) {
  const auto* node = ask_for(Node::Type::map, key, need);
  if (node == nullptr) return;
  Fields fields(*node, section_of(key), reading_);
  read(fields);
  fields.finish();
}

void Fields::each(const std::string& key, const std::function<void(Fields&)>& read, Need need) {
  const auto* list = ask_for(Node::Type::list, key, need);
  if (list == nullptr) return;
  for (const auto& item : list->items) {
    if (item->type != Node::Type::map) {
      reading_.problems.add(item->at, fmt::format("{}: {} was found where a map belongs", key, name_of(item->type)));
      continue;
    }
    Fields fields(*item, section_of(key), reading_);
    read(fields);
    fields.finish();
  }
}

void Fields::each(const std::string& key, const std::function<void(const std::string&)>& word,
                  const std::function<void(Fields&)>& read) {
  const auto* list = ask_for(Node::Type::list, key, Need::optional);
  if (list == nullptr) return;
  for (const auto& item : list->items) {
    if (item->type == Node::Type::scalar && !item->text.empty()) {
      word(item->text);
    } else if (item->type == Node::Type::map) {
      Fields fields(*item, section_of(key), reading_);
      read(fields);
      fields.finish();
    } else {
      reading_.problems.add(item->at,
                            fmt::format("{}: {} was found where a name or a map belongs", key,
                                        item->type == Node::Type::scalar ? "an empty word" : name_of(item->type)));
    }
  }
}

bool Fields::asked(const std::string& key) const {
  return std::find(asked_.begin(), asked_.end(), key) != asked_.end();
}

bool Fields::sound() const {
  return reading_.problems.count() == problems_before_ &&
         std::all_of(map_.entries.begin(), map_.entries.end(), [&](const Entry& entry) { return asked(entry.key); });
}

void Fields::finish() {
  for (const auto& entry : map_.entries) {
    if (asked(entry.key)) continue;
    if (names_secret(entry.key))
      reading_.problems.add(entry.at, refuse_secret(entry.key));
    else
      reading_.problems.add(
          entry.at, fmt::format("unknown key {}{}{}", shown(entry.key), section_.empty() ? "" : " in " + section_,
                                suggestion(entry.key, asked_, "known keys")));
  }
}

}  // namespace foreshadow::config
