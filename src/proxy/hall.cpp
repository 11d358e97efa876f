#include "proxy/hall.hpp"

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <utility>

#include "base/log.hpp"

namespace foreshadow::proxy {

namespace asio = boost::asio;
using asio::ip::tcp;

Hall::Hall(asio::io_context& context, ResourceId resource, Gate& gate, Protocol& protocol, Crowd& crowd,
           std::size_t thread)
    : context_(context),
      resource_(std::move(resource)),
      gate_(gate),
      protocol_(protocol),
      crowd_(crowd),
      thread_(thread),
      rest_(std::make_shared<RestRoom>(
          context.get_executor(), [this](tcp::socket client) { serve(std::move(client)); }, [this] { settle(); })) {
  protocol_.rest_in(rest_);
}

Hall::~Hall() { rest_->close(); }

void Hall::bring(io::Fd client, tcp protocol) {
  asio::post(context_, [this, client = std::move(client), protocol]() mutable {
    ++counted_;
    tcp::socket socket(context_);
    boost::system::error_code error;
    socket.assign(protocol, client.get(), error);
    if (error) {
      log::error("{}: a connection could not be taken: {}", resource_, error.message());
      return settle();
    }
    static_cast<void>(client.release());
    serve(std::move(socket));
  });
}

void Hall::welcome(tcp::socket client) {
  ++counted_;
  serve(std::move(client));
}

void Hall::settle() {
  const auto here = sessions_.size() + rest_->size();
  if (here < counted_) crowd_.left(thread_, counted_ - here);
  counted_ = std::min(counted_, here);
}

void Hall::serve(tcp::socket client) {
  const auto at = sessions_.emplace(sessions_.end());
  asio::co_spawn(context_, protocol_.serve(std::move(client), gate_),
                 asio::bind_cancellation_slot(at->slot(), [this, at](const std::exception_ptr& error) {
                   if (error) {
                     try {
                       std::rethrow_exception(error);
                     } catch (const std::exception& e) {
                       // A cancelled session ends by an exception, as asio has it.
                       if (!closed_) log::error("{}: a session ended badly: {}", resource_, e.what());
                     }
                   }
                   // Not here: the signal's own machinery may still be on the stack.
                   asio::post(context_, [this, at] {
                     sessions_.erase(at);
                     settle();
                   });
                 }));
}

void Hall::close() {
  closed_ = true;
  rest_->close();
  settle();
}

void Hall::cancel_sessions() {
  // Ending a session may end another; the list loses nodes only in handlers of their own.
  for (auto& session : sessions_) session.emit(asio::cancellation_type::terminal);
}

}  // namespace foreshadow::proxy
