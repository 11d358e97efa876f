#include "proxy/conn/edges.hpp"

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <utility>

#include "base/assert.hpp"
#include "proxy/conn/edge.hpp"
#include "proxy/conn/ends.hpp"

namespace foreshadow::proxy {

namespace asio = boost::asio;

// Moves with the wait. Destroyed without having been called, when the event loop ends before it, it takes along whoever
// waits: the waiter's frames hold the state, and nobody else would let go of either.
struct Edges::Armed {
  explicit Armed(boost::intrusive_ptr<State> of) : state(std::move(of)) {}
  Armed(Armed&&) noexcept = default;
  Armed& operator=(Armed&&) = delete;
  ~Armed() {
    if (!state) return;
    state->armed = false;
    const auto dropped = std::exchange(state->waiter, std::nullopt);
  }
  void operator()(const boost::system::error_code& error, std::size_t = 0) {
    const auto told = std::move(state);
    told->armed = false;
    told->pending = true;
    const bool meant = error != asio::error::operation_aborted || told->waits <= told->cut;
    told->wake(error && meant ? Woken::cut : Woken::edge);
  }
  boost::intrusive_ptr<State> state;
};

void Edges::State::wake(Woken woken) {
  if (!waiter) return;
  // Out of here first: who goes on may wait again.
  auto next = std::move(*waiter);
  waiter.reset();
  std::move(next)(woken);
}

void Edges::State::end() {
  tells_end = false;
  pending = true;
  wake(Woken::edge);
}

Edges::Edges(asio::ip::tcp::socket& socket) : socket_(socket), state_(new State) {}

Edges::~Edges() {
  // The socket is closed next, and with that nothing of it is watched any more.
  if (ends_) ends_->forget(place_, -1);
}

void Edges::dry() {
  state_->pending = false;
  if (std::exchange(state_->armed, true)) return;
  on_next_edge(socket_, Armed(state_));
}

asio::awaitable<Edges::Woken> Edges::next() {
  FS_ASSERT(state_->armed && !state_->pending && !state_->waiter);
  return asio::async_initiate<const asio::use_awaitable_t<>&, void(Woken)>(
      [this](State::Waiter waiter) {
        const auto number = ++state_->waits;
        if (auto slot = asio::get_associated_cancellation_slot(waiter); slot.is_connected())
          // Not here: whoever cancels may not be done with the others.
          slot.assign([state = state_, number, executor = socket_.get_executor()](asio::cancellation_type) {
            asio::post(executor, [state, number] {
              if (state->waits == number) state->wake(Woken::cut);
            });
          });
        state_->waiter.emplace(std::move(waiter));
      },
      asio::use_awaitable);
}

void Edges::tell_end(const std::shared_ptr<Ends>& ends) {
  if (ends_) return;
  const auto place = ends->watch(socket_.native_handle(), state_);
  if (!place) return;
  place_ = *place;
  ends_ = ends;
  state_->tells_end = true;
}

void Edges::forget_end() {
  if (!ends_) return;
  ends_->forget(place_, socket_.is_open() ? socket_.native_handle() : -1);
  ends_.reset();
  state_->tells_end = false;
}

}  // namespace foreshadow::proxy
