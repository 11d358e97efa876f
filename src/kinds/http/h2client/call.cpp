#include "kinds/http/h2client/call.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace foreshadow::kinds::http::h2client {

namespace asio = boost::asio;

Call::Call(std::shared_ptr<Link> link) : link_(std::move(link)), changed_(link_->executor()) { link_->enter(); }

Call::~Call() {
  give_up();
  link_->leave();
}

void Call::begin(std::string_view head, bool body) {
  const auto fields = request_fields(head, link_->is_secure());
  if (!fields) return;
  stream_ = link_->mux.open(*fields, body);
  if (!stream_) return;
  begun_ = true;
  stream_->owner = this;
  link_->write_soon();
}

void Call::give_up() noexcept {
  if (!stream_) return;
  link_->mux.release(*stream_);
  stream_ = nullptr;
  link_->write_soon();
}

std::vector<std::string> Call::take_interims() {
  return stream_ ? std::exchange(stream_->interim, {}) : std::vector<std::string>{};
}

void Call::mark_late() {
  link_->doubt(began_at_);
  late_ = true;
}

void Call::offer(std::string_view bytes) {
  if (!stream_) return;
  link_->mux.offer(*stream_, bytes);
  link_->write_soon();
}

void Call::finish(std::string_view trailer_lines) {
  if (!stream_) return;
  link_->mux.finish(*stream_, trailer_lines);
  link_->write_soon();
}

void Call::consume(std::size_t bytes) {
  if (!stream_ || bytes == 0) return;
  link_->mux.consume(*stream_, bytes);
  link_->write_soon();
}

void Call::changed() {
  changed_.cancel();
  if (other_) other_->cancel();
}

awaitable<bool> Call::change_until(Steady::time_point deadline) {
  changed_.expires_at(deadline);
  const auto [error] = co_await changed_.async_wait(asio::as_tuple(asio::use_awaitable));
  co_return error == asio::error::operation_aborted;
}

}  // namespace foreshadow::kinds::http::h2client
