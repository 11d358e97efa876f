#include "observe/procfs.hpp"

#include <array>
#include <charconv>
#include <limits>

namespace foreshadow::observe {
namespace {

constexpr std::string_view blanks = " \t\n\r\v\f";

template <class T>
std::optional<T> number(std::string_view word) {
  T value{};
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
  return value;
}

// Takes the next word off the front of `text`; empty at the end.
std::string_view next_word(std::string_view& text) {
  const auto begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) {
    text = {};
    return {};
  }
  text.remove_prefix(begin);
  const auto word = text.substr(0, text.find_first_of(blanks));
  text.remove_prefix(word.size());
  return word;
}

std::string_view next_line(std::string_view& text) {
  const auto line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), line.size() + 1));
  return line;
}

std::optional<std::uint64_t> kib(std::string_view text, std::string_view key) {
  const auto value = find_number(text, key);
  if (!value || *value > std::numeric_limits<std::uint64_t>::max() / 1024) return std::nullopt;
  return *value * 1024;
}

}  // namespace

std::optional<ProcStat> parse_proc_stat(std::string_view text) {
  // The command name stands in brackets and may itself hold blanks and brackets: the last one closes it.
  const auto open = text.find('(');
  const auto close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return std::nullopt;
  auto front = text.substr(0, open);
  const auto pid = number<int>(next_word(front));
  if (!pid || *pid <= 0) return std::nullopt;

  auto rest = text.substr(close + 1);
  const auto state = next_word(rest);
  if (state.size() != 1) return std::nullopt;
  // Field numbers of proc(5); the word just read was 3.
  std::array<std::optional<std::int64_t>, 23> field{};
  for (std::size_t i = 4; i < field.size(); ++i) {
    field[i] = number<std::int64_t>(next_word(rest));
    if (!field[i]) return std::nullopt;
  }
  const auto unsigned_field = [&](std::size_t i) {
    return *field[i] < 0 ? std::uint64_t{0} : static_cast<std::uint64_t>(*field[i]);
  };
  if (*field[4] < 0 || *field[4] > std::numeric_limits<int>::max()) return std::nullopt;
  ProcStat stat;
  stat.pid = *pid;
  stat.state = state[0];
  stat.ppid = static_cast<int>(*field[4]);
  stat.own_ticks = unsigned_field(14) + unsigned_field(15);
  stat.reaped_ticks = unsigned_field(16) + unsigned_field(17);
  stat.threads = unsigned_field(20);
  stat.start_ticks = unsigned_field(22);
  return stat;
}

std::optional<ProcMemory> parse_proc_status(std::string_view text) {
  const auto total = kib(text, "VmRSS");
  if (!total) return std::nullopt;
  const auto anonymous = kib(text, "RssAnon");
  const auto file = kib(text, "RssFile");
  const auto shared = kib(text, "RssShmem");
  if (!anonymous || !file || !shared) return ProcMemory{*total, *total, 0};
  return ProcMemory{*total, *anonymous, *file + *shared};
}

std::optional<ProcIo> parse_proc_io(std::string_view text) {
  const auto read = find_number(text, "read_bytes");
  const auto write = find_number(text, "write_bytes");
  if (!read || !write) return std::nullopt;
  return ProcIo{*read, *write};
}

std::optional<std::uint64_t> parse_open_files_max(std::string_view text) {
  constexpr std::string_view key = "Max open files";
  while (!text.empty()) {
    auto line = next_line(text);
    if (!line.starts_with(key)) continue;
    line.remove_prefix(key.size());
    return number<std::uint64_t>(next_word(line));
  }
  return std::nullopt;
}

std::optional<int> parse_pid(std::string_view text) {
  auto line = next_line(text);
  const auto word = next_word(line);
  const auto pid = number<int>(word);
  if (!pid || *pid <= 0 || !next_word(line).empty()) return std::nullopt;
  return pid;
}

std::vector<int> parse_pids(std::string_view text) {
  std::vector<int> pids;
  for (auto word = next_word(text); !word.empty(); word = next_word(text))
    if (const auto pid = number<int>(word); pid && *pid > 0) pids.push_back(*pid);
  return pids;
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  const auto word = next_word(text);
  if (!next_word(text).empty()) return std::nullopt;
  return number<std::uint64_t>(word);
}

std::optional<std::uint64_t> find_number(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    auto line = next_line(text);
    if (!line.starts_with(key)) continue;
    line.remove_prefix(key.size());
    if (line.starts_with(':')) line.remove_prefix(1);
    if (line.empty() || blanks.find(line.front()) == std::string_view::npos) continue;
    return number<std::uint64_t>(next_word(line));
  }
  return std::nullopt;
}

}  // namespace foreshadow::observe
