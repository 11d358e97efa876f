#include "kinds/http/session/insurer.hpp"

#include <algorithm>

namespace foreshadow::kinds::http {

namespace {
constexpr std::size_t kIdleMax = 64;

// Who draws a side afresh each time is still somebody.
Sticky client_of(const Sticky& sticky) {
  return sticky.by == Sticky::By::request ? Sticky{Sticky::By::address, {}} : sticky;
}
}  // namespace

Insurer::Insurer(boost::asio::any_io_executor executor, std::shared_ptr<Watchdog> watchdog, Pool::Tls tls,
                 std::vector<Terms> terms, std::shared_ptr<Standing> standing, std::shared_ptr<RecentWrites> writes)
    : terms_(std::move(terms)),
      accounts_(terms_.size()),
      standing_(std::move(standing)),
      pool_(std::make_shared<Pool>(std::move(executor), std::move(watchdog), kIdleMax, std::move(tls))),
      writes_(std::move(writes)) {
  for (auto& terms_of_one : terms_) {
    terms_of_one.client = client_of(terms_of_one.client);
    if (terms_of_one.options.on && std::ranges::find(clients_, terms_of_one.client) == clients_.end())
      clients_.push_back(terms_of_one.client);
  }
}

const InsuranceOptions* Insurer::terms(std::size_t segment) const {
  return segment < terms_.size() && terms_[segment].options.on ? &terms_[segment].options : nullptr;
}

std::optional<Instance> Insurer::shadow_for(const proxy::Gate& gate, std::size_t segment, const InstanceId& failed,
                                            Time now) const {
  const auto& other = gate.table().other;
  if (!other || other->id == failed || !standing_->passes(segment, other->id, now)) return std::nullopt;
  if (accounts_[segment].asking >= terms_[segment].options.at_once) return std::nullopt;
  return other;
}

bool Insurer::wrote_lately(Arrival& client, const RequestHead& head, std::size_t segment, Time now) {
  const auto& [options, sticky] = terms_[segment];
  return writes_->within(client.affinity.key(sticky, head).sticky, options.staleness, now);
}

void Insurer::wrote(Arrival& client, const RequestHead& head, Time now) {
  for (const auto& sticky : clients_) writes_->note(client.affinity.key(sticky, head).sticky, now);
}

void Insurer::report(std::vector<SegmentStats>& segments) const {
  for (std::size_t i = 0; i < std::min(segments.size(), accounts_.size()); ++i)
    segments[i].insurance = accounts_[i].stats;
}

}  // namespace foreshadow::kinds::http
