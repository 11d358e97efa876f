#include "proxy/planes.hpp"

#include <fmt/format.h>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "proxy/on_loop.hpp"
#include "proxy/share.hpp"

namespace foreshadow::proxy {

namespace asio = boost::asio;

// In an order of construction that destroys clients first, then protocols, then gates, and the loop after all of them.
struct Planes::Plane {
  asio::io_context context{1};
  std::map<ResourceId, std::unique_ptr<GateImpl>> gates;
  std::map<ResourceId, std::unique_ptr<Protocol>> protocols;
  std::vector<std::unique_ptr<Hall>> halls;
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work;
  std::thread thread;
};

Planes::Planes(std::size_t threads, std::uint64_t seed) : seeds_(seed) {
  FS_ASSERT(threads > 0);
  for (std::size_t i = 0; i < threads; ++i) planes_.push_back(std::make_unique<Plane>());
}

Planes::~Planes() {
  // What the planes share may know the loop of each.
  listeners_.clear();
  for (const auto& plane : planes_) plane->halls.clear();
  for (const auto& plane : planes_) plane->protocols.clear();
}

template <class F>
void Planes::each(F call) {
  ask_each(planes_, [](const auto& plane) -> auto& { return plane->context; }, call);
}

Result<void> Planes::prepare(const ListenerSettings& settings, const ProtocolFactory& protocols) {
  auto& first = *planes_.front();
  if (first.protocols.contains(settings.resource))
    return fail(Code::invalid, fmt::format("resource '{}' is listed twice", settings.resource));
  FS_TRY(protocol, protocols(settings, first.context.get_executor()));
  if (!protocol) return fail(Code::invalid, fmt::format("{}: its kind refuses the settings", settings.resource));
  for (std::size_t i = 1; i < planes_.size(); ++i) {
    FS_TRY(another, protocol->another(planes_[i]->context.get_executor()));
    if (another) planes_[i]->protocols[settings.resource] = std::move(another);
  }
  if (planes_.size() > 1 && !planes_.back()->protocols.contains(settings.resource))
    log::info("{}: its kind is served by one thread", settings.resource);
  first.protocols[settings.resource] = std::move(protocol);
  return {};
}

void Planes::add(const ListenerSettings& settings, io::Fd socket, const std::optional<GateState>& booted) {
  std::vector<Plane*> serving;
  for (const auto& plane : planes_)
    if (plane->protocols.contains(settings.resource)) serving.push_back(plane.get());
  auto& crowd = *crowds_.emplace_back(std::make_unique<Crowd>(serving.size(), crowds_.size()));
  std::vector<Hall*> halls;
  for (std::size_t i = 0; i < serving.size(); ++i) {
    auto& plane = *serving[i];
    const auto share = [&](int total) { return share_of(total, serving.size(), i); };
    auto limits = settings.limits;
    limits.at_once_max = share(limits.at_once_max);
    limits.queued_max = share(limits.queued_max);
    limits.release_concurrency = share(limits.release_concurrency);
    GateSettings gate{settings.resource,          settings.segments, settings.primary,
                      share(settings.parked_max), seeds_.next(),     limits};
    auto& made = plane.gates[settings.resource] =
        std::make_unique<GateImpl>(plane.context.get_executor(), std::move(gate), booted);
    halls.push_back(plane.halls
                        .emplace_back(std::make_unique<Hall>(plane.context, settings.resource, *made,
                                                             *plane.protocols.at(settings.resource), crowd, i))
                        .get());
  }
  listeners_.push_back(
      std::make_unique<Listener>(planes_.front()->context, settings, std::move(socket), crowd, std::move(halls)));
}

void Planes::start() {
  for (const auto& listener : listeners_) listener->start();
  for (const auto& plane : planes_) {
    plane->work.emplace(plane->context.get_executor());
    plane->thread = std::thread([&context = plane->context] { context.run(); });
  }
}

Commands::Gates Planes::gates() {
  std::map<ResourceId, std::vector<GateGroup::Member>> members;
  for (const auto& plane : planes_)
    for (const auto& [resource, gate] : plane->gates)
      members[resource].push_back({&plane->context, gate.get(), plane->protocols.at(resource).get()});
  Commands::Gates gates;
  for (auto& [resource, of_one] : members) gates.try_emplace(resource, std::move(of_one));
  return gates;
}

std::vector<Handed> Planes::offer() {
  return ask(planes_.front()->context,
             [this] {
               std::vector<Handed> out;
               out.reserve(listeners_.size());
               for (std::size_t i = 0; i < listeners_.size(); ++i)
                 out.push_back({listeners_[i]->resource(), listeners_[i]->native()});
               return out;
             })
      .get();
}

std::size_t Planes::sessions() const {
  std::size_t sum = 0;
  for (const auto& crowd : crowds_) sum += crowd->size();
  return sum;
}

void Planes::stop_accepting() {
  ask(planes_.front()->context, [this] {
    for (const auto& listener : listeners_) listener->stop_accepting();
  }).get();
  // One that was accepted a moment before is a client from the next turn on.
  ask(planes_.front()->context, [] {}).get();
}

void Planes::retire() {
  each([](const auto& plane) {
    for (const auto& [resource, protocol] : plane->protocols) protocol->retire();
  });
}

void Planes::close() {
  each([](const auto& plane) {
    for (const auto& hall : plane->halls) hall->close();
    for (const auto& [resource, gate] : plane->gates) gate->close();
    for (const auto& [resource, protocol] : plane->protocols) protocol->stop();
  });
}

void Planes::cancel_sessions() {
  each([](const auto& plane) {
    for (const auto& hall : plane->halls) hall->cancel_sessions();
  });
}

void Planes::stop() {
  for (const auto& plane : planes_) {
    plane->work.reset();
    plane->context.stop();
  }
  for (const auto& plane : planes_)
    if (plane->thread.joinable()) plane->thread.join();
}

}  // namespace foreshadow::proxy
