#include "kinds/simulated/line_protocol.hpp"

#include <boost/asio.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <chrono>
#include <optional>
#include <utility>

namespace foreshadow::kinds::simulated {
namespace {

namespace asio = boost::asio;
constexpr auto kValues = asio::as_tuple(asio::use_awaitable);

class LineProtocol final : public proxy::Protocol {
 public:
  LineProtocol(std::shared_ptr<World> world, Millis idle_timeout, std::size_t line_bytes_max)
      : world_(std::move(world)), idle_timeout_(idle_timeout), line_bytes_max_(line_bytes_max) {}

  asio::awaitable<void> serve(asio::ip::tcp::socket client, proxy::Gate& gate) override {
    const auto mark = gate.session();
    std::string buffer;
    for (;;) {
      const auto line = co_await read_line(client, buffer);
      if (!line) co_return;
      const auto answer = co_await work(*line, gate);
      const auto [error, sent] = co_await asio::async_write(client, asio::buffer(answer), kValues);
      if (error) co_return;
    }
  }

 private:
  // Nothing: the client left, was silent too long, or sends no line's end.
  asio::awaitable<std::optional<std::string>> read_line(asio::ip::tcp::socket& client, std::string& buffer) {
    using asio::experimental::awaitable_operators::operator||;
    asio::steady_timer timer(client.get_executor(), idle_timeout_);
    const auto done =
        co_await (asio::async_read_until(client, asio::dynamic_buffer(buffer, line_bytes_max_), '\n', kValues) ||
                  timer.async_wait(kValues));
    if (done.index() != 0) co_return std::nullopt;
    const auto [error, length] = std::get<0>(done);
    if (error) co_return std::nullopt;
    auto line = buffer.substr(0, length - 1);
    buffer.erase(0, length);
    co_return line;
  }

  asio::awaitable<std::string> work(const std::string& line, proxy::Gate& gate) {
    auto entered = co_await gate.enter(0, 0);
    // Held too long, or too many wait: an honest answer, and nothing was done.
    if (!entered) co_return "error " + entered.error().what + "\n";
    const auto began = std::chrono::steady_clock::now();
    const auto done = world_->append(entered->target().id, line);
    // A mirrored line is taken and thrown away: a standby has no other way to do work without writing.
    if (entered->mirror()) gate.mirrored(entered->segment(), {.shadow = entered->mirror()->id});
    entered->finish(done.has_value(),
                    std::chrono::duration_cast<proxy::Micros>(std::chrono::steady_clock::now() - began));
    co_return done ? "ok " + entered->target().id + " " + line + "\n" : "error " + done.error().what + "\n";
  }

  const std::shared_ptr<World> world_;
  const Millis idle_timeout_;
  const std::size_t line_bytes_max_;
};

}  // namespace

std::unique_ptr<proxy::Protocol> make_line_protocol(std::shared_ptr<World> world,
                                                    const proxy::ListenerSettings& settings,
                                                    std::size_t line_bytes_max) {
  return std::make_unique<LineProtocol>(std::move(world), settings.idle_timeout, line_bytes_max);
}

}  // namespace foreshadow::kinds::simulated
