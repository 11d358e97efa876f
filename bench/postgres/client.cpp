#include "postgres/client.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace foreshadow::bench::pg {
namespace {

// Between two attempts to connect: short, for what is measured is how soon one succeeds.
constexpr std::chrono::milliseconds kRetry{5};

// A COMMIT that is answered and not done was not done, but for this one: "transaction resolution unknown".
constexpr std::string_view kInDoubt = "08007";

// Our gateway's promise, as it ends a connection, that nothing was committed. Whatever else ends one under a COMMIT
// leaves it unknown.
bool says_not_committed(std::string_view sqlstate) { return sqlstate == "08006" || sqlstate == "40001"; }

}  // namespace

void Client::connect(Time now) {
  close();
  socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(run_.settings.port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int on = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  state_ = State::connecting;
  sent_at_ = now;
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno != EINPROGRESS)
    return lost("refused", now);
  epoll_event event{};
  event.events = EPOLLOUT;
  event.data.ptr = this;
  epoll_ctl(run_.epoll, EPOLL_CTL_ADD, socket_, &event);
}

void Client::begin(Time due, Time now) {
  std::erase(run_.resting, this);
  due_ = due;
  step_ = 0;
  why_.clear();
  draw_ = run_.script.draw(run_.chance, run_.settings.name + std::to_string(++run_.ids));
  state_ = State::asking;
  send_step(now);
}

void Client::send_step(Time now) {
  expected_ = run_.script.add(out_, step_, draw_, run_.settings.protocol);
  if (!wanted_) wanted_ = now;
  send(now);
}

void Client::send(Time now) {
  sent_at_ = now;
  // One small write after an answer: a kernel that has no room for it has lost its other end.
  const auto n = ::send(socket_, out_.data(), out_.size(), MSG_NOSIGNAL);
  const bool whole = n == static_cast<ssize_t>(out_.size());
  out_.clear();
  if (!whole) lost("reset", now);
}

void Client::ready(Time now) {
  if (state_ == State::connecting) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return lost("refused", now);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = this;
    epoll_ctl(run_.epoll, EPOLL_CTL_MOD, socket_, &event);
    state_ = State::starting;
    reader_ = {};
    add_startup(out_, run_.settings.user, run_.settings.database);
    return send(now);
  }
  char buffer[16 << 10];
  const auto n = ::recv(socket_, buffer, sizeof buffer, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return lost(n == 0 ? "closed" : "reset", now);
  reader_.feed({buffer, static_cast<std::size_t>(n)});
  const int socket = socket_;
  while (socket_ == socket) {
    const auto message = reader_.next();
    if (!message) break;
    took_message(*message, now);
  }
  if (reader_.broken()) lost("protocol", now);
}

void Client::took_message(const Message& message, Time now) {
  switch (message.type) {
    case 'R':
      if (authentication_code(message.body) == 0) return;
      std::fputs("the server asks for a password, and the loader has none: it measures under trust\n", stderr);
      std::exit(1);
    case 'E':
      if (sqlstate_.empty()) sqlstate_ = error_field(message.body, 'C');
      return;
    case 'C':
      tag_ = tag_of(message.body);
      return;
    case 'Z':
      return answered(message.body.empty() ? '?' : message.body[0], now);
    default:
      return;
  }
}

void Client::answered(char status, Time now) {
  if (state_ == State::starting) {
    ++run_.connected;
    return rest();
  }
  // Nobody asked.
  if (!busy()) return lost("protocol", now);
  const bool well = sqlstate_.empty() && tag_ == expected_;
  if (!well && why_.empty()) why_ = sqlstate_.empty() ? "tag" : "sqlstate_" + sqlstate_;
  if (state_ == State::asking && well) return succeed(now);
  if (status == 'I') return fail(sqlstate_ == kInDoubt ? Became::unknown : Became::failed, now);
  if (state_ == State::rolling_back) return lost("rollback", now);
  state_ = State::rolling_back;
  expected_ = "ROLLBACK";
  add_statement(out_, {"ROLLBACK;", {}, expected_}, Protocol::simple);
  tag_.clear();
  sqlstate_.clear();
  send(now);
}

void Client::succeed(Time now) {
  run_.waits.answered(number_, *wanted_, now);
  wanted_.reset();
  ++run_.tally.statements;
  tag_.clear();
  if (++step_ < run_.script.length()) return send_step(now);
  ++run_.tally.transactions;
  run_.tally.latencies.took((now - due_).count());
  if (run_.script.writes()) {
    ++run_.tally.acknowledged;
    run_.ledger.note(draw_.id, "acknowledged", now);
  }
  rest();
}

void Client::fail(Became became, Time now) {
  if (run_.script.writes()) {
    const bool in_doubt = became == Became::unknown && step_ >= run_.script.commit_step();
    run_.tally.unknown += in_doubt ? 1 : 0;
    run_.ledger.note(draw_.id, in_doubt ? "unknown" : "failed", now);
  }
  run_.tally.fail(why_);
  // It is still wanted, and comes before what came later.
  if (!run_.stopping) run_.due.push_front(due_);
  rest();
}

void Client::rest() {
  state_ = State::resting;
  tag_.clear();
  sqlstate_.clear();
  run_.resting.push_back(this);
}

void Client::lost(std::string_view why, Time now) {
  if (busy()) {
    if (why_.empty()) why_ = sqlstate_.empty() ? std::string(why) : "sqlstate_" + sqlstate_;
    fail(says_not_committed(sqlstate_) ? Became::failed : Became::unknown, now);
  }
  if (connected()) {
    ++run_.tally.broken;
    --run_.connected;
    std::erase(run_.resting, this);
  }
  close();
  retry_at_ = now + kRetry;
}

void Client::close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
  state_ = State::closed;
  out_.clear();
  tag_.clear();
  sqlstate_.clear();
}

void Client::look_at_clock(Time now) {
  if (state_ == State::closed) {
    // There is work that it would do if it could.
    if (!wanted_ && !run_.due.empty()) wanted_ = now;
    if (!run_.stopping && now >= retry_at_) connect(now);
    return;
  }
  if (state_ == State::resting) return;
  if (now - sent_at_ > std::chrono::duration<double>(run_.settings.timeout_s)) lost("timeout", now);
}

void Client::give_up(Time now) {
  if (busy()) lost("unanswered", now);
}

void Client::end(Time now) {
  if (wanted_) run_.waits.answered(number_, *wanted_, now);
  wanted_.reset();
}

}  // namespace foreshadow::bench::pg
