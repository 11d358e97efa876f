#include "postgres/script.hpp"

#include <utility>

namespace foreshadow::bench::pg {
namespace {

// As initialised by `pgbench -i`: so many of each for one unit of scale.
constexpr std::int64_t kAccounts = 100'000;
constexpr std::int64_t kTellers = 10;
constexpr std::int64_t kDeltaMax = 5'000;

constexpr std::string_view kSelect = "SELECT abalance FROM pgbench_accounts WHERE aid = $1;";

std::string uniform(std::mt19937_64& chance, std::int64_t low, std::int64_t high) {
  return std::to_string(std::uniform_int_distribution<std::int64_t>(low, high)(chance));
}

}  // namespace

Draw Script::draw(std::mt19937_64& chance, std::string id) const {
  Draw draw;
  draw.aid = uniform(chance, 1, kAccounts * scale_);
  if (kind_ == Kind::select_only) return draw;
  draw.bid = uniform(chance, 1, scale_);
  draw.tid = uniform(chance, 1, kTellers * scale_);
  draw.delta = uniform(chance, -kDeltaMax, kDeltaMax);
  draw.id = std::move(id);
  return draw;
}

std::string_view Script::add(std::string& out, std::size_t step, const Draw& d, Protocol protocol) const {
  const auto put = [&](std::string_view sql, std::string_view tag, const auto&... parameters) {
    const std::array<std::string, sizeof...(parameters)> values{parameters...};
    add_statement(out, {sql, values, tag}, protocol);
    return tag;
  };
  if (kind_ == Kind::select_only) return put(kSelect, "SELECT 1", d.aid);
  switch (step) {
    case 0:
      return put("BEGIN;", "BEGIN");
    case 1:
      return put("UPDATE pgbench_accounts SET abalance = abalance + $1 WHERE aid = $2;", "UPDATE 1", d.delta, d.aid);
    case 2:
      return put(kSelect, "SELECT 1", d.aid);
    case 3:
      return put("UPDATE pgbench_tellers SET tbalance = tbalance + $1 WHERE tid = $2;", "UPDATE 1", d.delta, d.tid);
    case 4:
      return put("UPDATE pgbench_branches SET bbalance = bbalance + $1 WHERE bid = $2;", "UPDATE 1", d.delta, d.bid);
    case 5:
      return put(
          "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime, filler) VALUES ($1, $2, $3, $4, "
          "CURRENT_TIMESTAMP, $5);",
          "INSERT 0 1", d.tid, d.bid, d.aid, d.delta, d.id);
    default:
      return put("END;", "COMMIT");
  }
}

}  // namespace foreshadow::bench::pg
