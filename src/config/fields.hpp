// Reads one map of the file: each method asks for one key, converts its value or tells what is wrong with it, and
// remembers that it asked. What was never asked for is an unknown key; so the parser and its list of keys cannot
// differ. A wrong value leaves the default in place, and reading goes on: all mistakes are told at once.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "config/diagnostics.hpp"
#include "config/load.hpp"
#include "config/tree.hpp"

namespace foreshadow::config {

// What one reading of a file shares.
struct Reading {
  Diagnostics& problems;
  const Kinds& kinds;
  std::string base_dir;
  KnownKeys* known = nullptr;
  Ask ask = Ask::text;
};

enum class Need { optional, required };

class Fields {
 public:
  // `section` is what messages and KnownKeys call this map: "policy.hold".
  Fields(const Node& map, std::string section, Reading& reading);

  bool has(const std::string& key) const { return find(key) != nullptr; }
  // Of the key's value, or of the whole map when it is not there.
  Mark at(const std::string& key) const;
  Mark at() const { return map_.at; }
  // Of one entry of the map under `key`, or of that map.
  Mark at(const std::string& key, const std::string& entry) const;
  Reading& reading() { return reading_; }
  void problem(const std::string& key, std::string what) { reading_.problems.add(at(key), std::move(what)); }

  void text(const std::string& key, std::string& out, Need need = Need::optional);
  // A file path, made absolute with the configuration file's directory.
  void path(const std::string& key, std::string& out, Need need = Need::optional);
  // A word that is safe in file names and in messages.
  void identifier(const std::string& key, std::string& out, Need need = Need::required);
  void boolean(const std::string& key, bool& out);
  void fraction(const std::string& key, double& out);
  void duration(const std::string& key, Millis& out, Millis min = Millis{1});
  void integer(const std::string& key, int& out, int min, int max);
  void bytes(const std::string& key, std::size_t& out, std::size_t min, std::size_t max);
  void texts(const std::string& key, std::vector<std::string>& out);
  // With `lists`, a value may be a list of words, which is taken as one text with line feeds between them.
  void text_map(const std::string& key, std::map<std::string, std::string>& out, bool lists = false);

  template <class E>
  void one_of(const std::string& key, E& out, const std::vector<std::pair<std::string, E>>& names) {
    std::vector<std::string> words;
    for (const auto& [name, value] : names) words.push_back(name);
    if (const auto chosen = choose(key, words)) out = names[*chosen].second;
  }

  // Calls `read` with the map under `key`, then tells its unknown keys.
  void map(const std::string& key, const std::function<void(Fields&)>& read, Need need = Need::optional);
  // The same for each map of the list under `key`.
  void each(const std::string& key, const std::function<void(Fields&)>& read, Need need = Need::optional);

  // For each item of the list under `key`: `word` with a word, `read` with a map.
  void each(const std::string& key, const std::function<void(const std::string&)>& word,
            const std::function<void(Fields&)>& read);

  // No mistake in this map so far, and no key that nobody asked for: what was left out by mistake stands at its
  // default, and a check across values would then blame the wrong one.
  bool sound() const;
  // Tells every key that nobody asked for. map() and each() call it; the owner of the root does too.
  void finish();

 private:
  const Node* find(const std::string& key) const;
  // Notes that the key is known; null when absent (told, if required) or empty.
  const Node* ask(const std::string& key, Need need = Need::optional);
  const Node* ask_for(Node::Type type, const std::string& key, Need need);
  const Node* scalar(const std::string& key, Need need) { return ask_for(Node::Type::scalar, key, need); }
  std::optional<std::size_t> choose(const std::string& key, const std::vector<std::string>& words);
  std::string section_of(const std::string& key) const;
  bool asked(const std::string& key) const;

  const Node& map_;
  std::string section_;
  Reading& reading_;
  std::size_t problems_before_;
  std::vector<std::string> asked_;
};

// `path` as seen from `base_dir`, without "." and "..".
std::string absolute(const std::string& path, const std::string& base_dir);

}  // namespace foreshadow::config
