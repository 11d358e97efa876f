// What one socket's edges have told: may there be something to read that no read has seen? One wait for the next edge
// stays armed from the read that found nothing on, whether or not anybody waits for it. So a connection that was read
// dry is waited for without another look, and one that rests in a pool is known to be still as it was: neither costs a
// system call.
//
// Knows nothing of what is read. On one executor without parallelism.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <cstdint>
#include <memory>
#include <optional>

namespace foreshadow::proxy {

class Ends;

class Edges {
 public:
  enum class Woken {
    edge,  // look
    cut,   // the socket was cancelled or closed, or this wait was
  };
  // Shared with the wait that is armed, which may outlive us.
  struct State : boost::intrusive_ref_counter<State, boost::thread_unsafe_counter> {
    using Waiter = boost::asio::async_result<boost::asio::use_awaitable_t<>, void(Woken)>::handler_type;

    bool pending = true;
    bool armed = false;
    bool tells_end = false;   // and the end has not been told
    std::uint64_t waits = 0;  // so far: the number of the last
    std::uint64_t cut = 0;    // the last that a cancelled socket is to end
    std::optional<Waiter> waiter{};

    // Whoever waits goes on at once, on the caller's stack.
    void wake(Woken woken);
    // It has ended: every read from now on is to look until it has seen that.
    void end();
  };

  // Lives shorter than the socket.
  explicit Edges(boost::asio::ip::tcp::socket& socket);
  ~Edges();
  Edges(const Edges&) = delete;
  Edges& operator=(const Edges&) = delete;

  // A read may find something. False: nothing has come since dry().
  bool pending() const { return state_->pending; }
  // A read has just found nothing, or has taken all there was and tells_end(). Requires: the event loop was not
  // returned to since that read.
  void dry();
  // Until something is pending. Requires: nothing is, and nobody else waits.
  boost::asio::awaitable<Woken> next();

  // The socket is about to be cancelled, which is meant for who waits now. Its wait hears of that later, and must not
  // cut who came meanwhile.
  void cut() { state_->cut = state_->waits; }

  // From now on an end is told even where one read took the last bytes before it, which the same edge had told of: then
  // a read that gets less than it has room for has left nothing unheard of. Costs a system call once, where `ends` can.
  void tell_end(const std::shared_ptr<Ends>& ends);
  bool tells_end() const { return state_->tells_end; }
  // Before the socket goes to somebody else.
  void forget_end();

 private:
  struct Armed;
  boost::asio::ip::tcp::socket& socket_;
  boost::intrusive_ptr<State> state_;
  std::shared_ptr<Ends> ends_;  // null: not told
  std::uint32_t place_ = 0;     // there
};

}  // namespace foreshadow::proxy
