#include "kinds/http/h2client/links.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "proxy/wake.hpp"

namespace foreshadow::kinds::http::h2client {

namespace asio = boost::asio;
using Steady = Watch::Steady;
constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);

namespace {

// Between attempts at another connection beside those there are.
constexpr std::chrono::seconds kDialPause{1};
// What has come to an idle connection is read in the next turn. It need not be anything for us: TLS has its own
// messages.
constexpr Millis kSettle{5};
// How long an instance is taken at its word that it speaks HTTP/1.1 only: it may be replaced by one that does not.
constexpr std::chrono::seconds kHttp1For{60};

// Waits while it lives, however that ends.
template <class Shelf, class Waiter>
struct Place {
  Shelf& shelf;
  Waiter& waiter;
  ~Place() {
    shelf.waiters.remove(&waiter);
    shelf.on_their_way -= waiter.called;
  }
};

}  // namespace

std::shared_ptr<Links::Shelf> Links::shelf(const Key& key) {
  std::erase_if(shelves_, [&](const std::shared_ptr<Shelf>& one) {
    std::erase_if(one->links, [](const std::shared_ptr<Link>& link) { return link->leaving(); });
    return one->key != key && one->links.empty() && one->waiters.empty() && !one->dialling;
  });
  for (const auto& one : shelves_)
    if (one->key == key) return one;
  return shelves_.emplace_back(std::make_shared<Shelf>(Shelf{.key = key}));
}

std::shared_ptr<Link> Links::find_room(Shelf& shelf, bool& unsettled) {
  // The first that has any: those behind it may so become idle, and end.
  for (const auto& link : shelf.links) {
    if (link->room() == 0) continue;
    if (!link->is_unsettled()) return link;
    unsettled = true;
  }
  return nullptr;
}

awaitable<Result<Links::Got>> Links::get(const Instance& instance, Key key, Millis timeout, const Connect& connect) {
  const auto kept = shelf(key);
  const auto deadline = Steady::now() + timeout;
  bool called = false;
  for (;;) {
    std::erase_if(kept->links, [](const std::shared_ptr<Link>& link) { return link->leaving(); });
    bool unsettled = false;
    // Who came before goes before.
    if (called || (kept->waiters.empty() && kept->on_their_way == 0))
      if (auto link = find_room(*kept, unsettled)) {
        const bool reused = link->used();
        Got got{std::make_unique<Call>(std::move(link)), nullptr, reused};
        call(*kept);
        co_return got;
      }
    if (kept->links.empty() && Steady::now() < kept->http1_until) co_return Got{};
    // Those before us may leave enough: then ours is there as soon as they have taken theirs.
    const bool soon = unsettled || room_left(*kept) > kept->waiters.size();
    if (!soon && may_dial(*kept)) {
      kept->dialling = true;
      asio::co_spawn(executor_, dial(shared_from_this(), kept, instance, timeout, connect), asio::detached);
    }
    Waiter waiter(executor_);
    if (called)
      kept->waiters.push_front(&waiter);
    else
      kept->waiters.push_back(&waiter);
    {
      const Place<Shelf, Waiter> place{*kept, waiter};
      waiter.woken.expires_at(soon ? std::min(deadline, Steady::now() + kSettle) : deadline);
      co_await waiter.woken.async_wait(use_tuple);
    }
    if (waiter.error) co_return tl::make_unexpected(std::move(*waiter.error));
    if (waiter.conn) co_return Got{nullptr, std::move(waiter.conn), false};
    called = waiter.called || (soon && Steady::now() < deadline);
    if (!called)
      co_return fail(Code::timeout, fmt::format("{}: no place on its connections in time", instance.endpoint.text()));
  }
}

awaitable<void> Links::dial(std::shared_ptr<Links> self, std::shared_ptr<Shelf> shelf, Instance instance,
                            Millis timeout, Connect connect) {
  const auto began = Steady::now();
  std::optional<Error> error;
  auto conn = co_await connect(instance, timeout);
  if (!conn) {
    error = conn.error();
  } else {
    const auto left = timeout - std::chrono::duration_cast<Millis>(Steady::now() - began);
    const auto link = co_await self->greet(shelf, *conn, std::max(left, Millis{1}));
    if (!link)
      error = Error{link.error().code, instance.endpoint.text() + ": " + link.error().what};
    else if (*link)
      shelf->links.push_back(*link);
  }
  shelf->dialling = false;
  if (!error && conn && *conn) {
    shelf->http1_until = Steady::now() + kHttp1For;
    if (!shelf->waiters.empty()) {
      shelf->waiters.front()->conn = std::move(*conn);
      call_first(*shelf);
    }
    while (!shelf->waiters.empty()) call_first(*shelf);
  }
  if (error) shelf->failed_at = Steady::now();
  // With no other connection to wait for, everybody hears of it; trying anew would only make them wait in turn.
  while (error && shelf->links.empty() && !shelf->waiters.empty()) {
    shelf->waiters.front()->error = error;
    call_first(*shelf);
  }
  self->call(*shelf);
}

awaitable<Result<std::shared_ptr<Link>>> Links::greet(const std::shared_ptr<Shelf>& shelf, std::unique_ptr<Conn>& conn,
                                                      Millis timeout) {
  if (conn->alpn() != "h2") {
    if (settings_.speak == Speak::automatic) co_return nullptr;
    if (conn->is_secure()) co_return fail(Code::unreachable, "it does not choose h2 by ALPN");
  }
  auto changed = [weak = weak_from_this(), place = std::weak_ptr(shelf)] {
    const auto self = weak.lock();
    const auto there = place.lock();
    if (self && there) self->call(*there);
  };
  auto link = std::make_shared<Link>(std::move(conn), watchdog_, settings_, head_bytes_max_, write_timeout_,
                                     std::move(changed));
  if (const auto greeted = co_await link->greet(timeout); !greeted) co_return tl::make_unexpected(greeted.error());
  co_return link;
}

bool Links::may_dial(const Shelf& shelf) const {
  return !shelf.dialling && shelf.links.size() < settings_.connections_max &&
         (shelf.links.empty() || Steady::now() - shelf.failed_at >= kDialPause);
}

std::size_t Links::room_left(const Shelf& shelf) {
  std::size_t room = 0;
  for (const auto& link : shelf.links) room += link->room();
  return room - std::min(room, shelf.on_their_way);
}

void Links::call(Shelf& shelf) noexcept {
  std::erase_if(shelf.links, [](const std::shared_ptr<Link>& link) { return link->leaving(); });
  auto room = room_left(shelf);
  // One is enough to have another connection made.
  if (room == 0 && shelf.on_their_way == 0 && may_dial(shelf)) room = 1;
  for (; room > 0 && !shelf.waiters.empty(); --room) call_first(shelf);
}

void Links::call_first(Shelf& shelf) noexcept {
  auto* const first = shelf.waiters.front();
  shelf.waiters.pop_front();
  ++shelf.on_their_way;
  first->called = true;
  proxy::wake(first->woken);
}

std::size_t Links::open() const {
  std::size_t sum = 0;
  for (const auto& one : shelves_) sum += one->links.size();
  return sum;
}

}  // namespace foreshadow::kinds::http::h2client
