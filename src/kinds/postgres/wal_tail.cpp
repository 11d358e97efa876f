#include "kinds/postgres/wal_tail.hpp"

#include <utility>

namespace foreshadow::kinds::postgres {
namespace {

constexpr std::size_t kCommitsMax = 1000;

}  // namespace

Result<void> WalTally::record(Lsn at) {
  if (tail_.records > 0 && at <= tail_.last) return fail(Code::corrupt, "the log's records go backwards");
  ++tail_.records;
  tail_.last = at;
  return {};
}

void WalTally::commit(std::uint64_t transaction, std::string what) {
  if (marker_transaction_ != 0 && transaction == marker_transaction_) tail_.marker_commit = tail_.last;
  if (tail_.last < from_) return;
  tail_.last_commit = tail_.last;
  if (tail_.commits.size() < kCommitsMax) tail_.commits.push_back({tail_.last, std::move(what)});
}

}  // namespace foreshadow::kinds::postgres
