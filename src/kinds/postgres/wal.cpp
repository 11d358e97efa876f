#include "kinds/postgres/wal.hpp"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "base/log.hpp"
#include "kinds/postgres/wal_files.hpp"

namespace foreshadow::kinds::postgres {
namespace {

using namespace std::chrono_literals;

// Calls `each` with every line; stops at the first error.
template <class Each>
Result<void> for_lines(std::string_view text, Each each) {
  while (!text.empty()) {
    const auto end = text.find('\n');
    const auto line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (!line.empty()) FS_CHECK(each(line));
  }
  return {};
}

// "rmgr: Transaction len (rec/tot):     34/    34, tx:        735, lsn: 0/01563EA8, prev 0/01563E70, desc: COMMIT ..."
struct RecordLine {
  std::string_view manager;
  std::uint64_t transaction = 0;
  Lsn at;
  std::string_view description;
};

std::optional<std::string_view> between(std::string_view line, std::string_view before, std::string_view after) {
  const auto from = line.find(before);
  if (from == std::string_view::npos) return std::nullopt;
  auto rest = line.substr(from + before.size());
  const auto until = rest.find(after);
  if (until == std::string_view::npos) return std::nullopt;
  rest = rest.substr(0, until);
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  while (!rest.empty() && rest.back() == ' ') rest.remove_suffix(1);
  return rest;
}

Result<RecordLine> parse_record(std::string_view line) {
  const auto bad = [&] { return fail(Code::corrupt, fmt::format("pg_waldump said '{}'", line.substr(0, 200))); };
  RecordLine out;
  // The head is of fixed form; only what follows "desc: " may hold anything.
  const auto described = line.find(", desc: ");
  if (!line.starts_with("rmgr: ") || described == std::string_view::npos) return bad();
  const auto head = line.substr(0, described + 1);
  const auto manager = between(head, "rmgr: ", " len ");
  const auto transaction = between(head, ", tx:", ",");
  const auto at = between(head, ", lsn:", ",");
  if (!manager || !transaction || !at) return bad();
  const auto [end, error] =
      std::from_chars(transaction->data(), transaction->data() + transaction->size(), out.transaction);
  if (error != std::errc{} || end != transaction->data() + transaction->size()) return bad();
  auto lsn = parse_lsn(*at);
  if (!lsn) return bad();
  out.manager = *manager;
  out.at = *lsn;
  out.description = line.substr(described + 8);
  return out;
}

}  // namespace

Result<WalTail> parse_wal(std::string_view text, Lsn from) {
  WalTally tally(from);
  FS_CHECK(for_lines(text, [&](std::string_view line) -> Result<void> {
    FS_TRY(record, parse_record(line));
    FS_CHECK(tally.record(record.at));
    if (record.manager == "LogicalMessage" &&
        record.description.find("prefix \"foreshadow\"") != std::string_view::npos)
      tally.marker(record.transaction);
    if (record.manager != "Transaction") return {};
    // COMMIT, COMMIT_PREPARED and PREPARE.
    if (record.description.starts_with("COMMIT") || record.description.starts_with("PREPARE"))
      tally.commit(record.transaction, std::string(record.description.substr(0, 120)));
    return {};
  }));
  return tally.take();
}

Result<WalTail> read_wal_by_tool(const PgSettings& settings, const DataDir& dir, std::uint32_t timeline, Lsn start,
                                 Lsn from, std::stop_token stop) {
  FS_TRY(ran, run_tool(settings, dir, "pg_waldump",
                       {"-p", dir.path() + "/pg_wal", "-t", std::to_string(timeline), "-s", start.text()}, 60s,
                       std::move(stop)));
  // It always ends with an error, since it is given no end. Which one tells an end from damage.
  const auto words = last_words(ran);
  const bool invalid_record = words.find("error in WAL record at ") != std::string::npos;
  const bool no_more_files = words.find("could not find file ") != std::string::npos;
  if (!invalid_record && !no_more_files)
    return fail(Code::corrupt, "the WAL of " + dir.path() + " is unreadable: " + words);
  auto text = std::string_view(ran.out);
  // Asked for a place inside a record, it says so first.
  if (text.starts_with("first record is after ")) {
    const auto end = text.find('\n');
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  FS_TRY(tail, parse_wal(text, from));
  if (tail.records == 0)
    return fail(Code::corrupt, fmt::format("no WAL record of {} at {}: {}", dir.path(), start.text(), words));
  tail.by_tool = true;
  return tail;
}

Result<WalTail> read_wal(const PgSettings& settings, const DataDir& dir, std::uint32_t timeline, Lsn start, Lsn from,
                         std::stop_token stop) {
  auto tail = scan_wal_files(dir, timeline, start, from);
  if (tail) return tail;
  log::info("pg_waldump is asked about {}: {}", dir.path(), tail.error().what);
  return read_wal_by_tool(settings, dir, timeline, start, from, std::move(stop));
}

Result<std::vector<TimelineFork>> parse_timeline_history(std::string_view text) {
  std::vector<TimelineFork> forks;
  FS_CHECK(for_lines(text, [&](std::string_view line) -> Result<void> {
    const auto first = line.find_first_not_of(" \t\r");
    if (first == std::string_view::npos || line[first] == '#') return {};
    line.remove_prefix(first);
    const auto bad = [&] {
      return fail(Code::corrupt, fmt::format("timeline history line '{}'", line.substr(0, 200)));
    };
    TimelineFork fork;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), fork.timeline);
    if (error != std::errc{}) return bad();
    auto rest = line.substr(static_cast<std::size_t>(end - line.data()));
    const auto at = rest.find_first_not_of(" \t");
    if (at == 0 || at == std::string_view::npos) return bad();
    rest.remove_prefix(at);
    auto lsn = parse_lsn(rest.substr(0, rest.find_first_of(" \t\r")));
    if (!lsn) return bad();
    fork.at = *lsn;
    if (!forks.empty() && (fork.timeline <= forks.back().timeline || fork.at < forks.back().at)) return bad();
    forks.push_back(fork);
    return {};
  }));
  return forks;
}

}  // namespace foreshadow::kinds::postgres
