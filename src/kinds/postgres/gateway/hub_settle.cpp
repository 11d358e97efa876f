// What sessions do together where a handover turns.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "kinds/postgres/gateway/hub.hpp"
#include "kinds/postgres/gateway/session.hpp"

namespace foreshadow::kinds::pg_gateway {

namespace asio = boost::asio;

void Hub::turn(Turn turn, proxy::Stay stay) {
  auto all = everybody();
  switch (turn) {
    case Turn::drained:
      asio::co_spawn(
          executor,
          [self = shared_from_this(), all = std::move(all), stay = std::move(stay)]() mutable {
            return self->settle(std::move(all), std::move(stay));
          },
          asio::detached);
      return;
    case Turn::sealed:
      for (const auto& session : all) session->hear_out(stay);
      return;
    case Turn::opening:
      for (const auto& session : all) session->arrive(stay);
      return;
  }
}

// One session asks for the locks of all: the server knows them by the processes that hold them, whoever took them and
// however.
asio::awaitable<void> Hub::settle(std::vector<std::shared_ptr<Session>> all, proxy::Stay stay) {
  constexpr int askers_max = 3;
  std::optional<std::vector<AdvisoryLock>> locks;
  for (const auto& session : all) session->unsettle();
  int asked = 0;
  for (const auto& session : all) {
    if (locks || asked == askers_max) break;
    if (!session->at_rest()) continue;
    ++asked;
    locks = co_await session->ask_locks();
  }
  for (const auto& session : all) session->settle_locks(locks, stay);
}

}  // namespace foreshadow::kinds::pg_gateway
