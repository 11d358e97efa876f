#include "load/pg_client.hpp"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <thread>

namespace load {
namespace {

int ms_until(SteadyTime deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
}

}  // namespace

bool PgClient::wait(bool for_write, SteadyTime deadline) const {
  pollfd waiting{PQsocket(connection_), static_cast<short>(for_write ? POLLOUT | POLLIN : POLLIN), 0};
  while (true) {
    const int n = ::poll(&waiting, 1, ms_until(deadline));
    if (n > 0) return true;
    if (std::chrono::steady_clock::now() >= deadline) return false;
  }
}

std::optional<std::string> PgClient::connect(SteadyTime deadline) {
  disconnect();
  connection_ = PQconnectStart(conninfo_.c_str());
  auto next = PGRES_POLLING_WRITING;
  while (connection_ != nullptr && PQstatus(connection_) != CONNECTION_BAD && next != PGRES_POLLING_FAILED) {
    if (next == PGRES_POLLING_OK) {
      PQsetnonblocking(connection_, 1);
      return {};
    }
    // While connecting, readable alone must not end a wait for writable.
    pollfd waiting{PQsocket(connection_), static_cast<short>(next == PGRES_POLLING_WRITING ? POLLOUT : POLLIN), 0};
    if (::poll(&waiting, 1, ms_until(deadline)) <= 0 && std::chrono::steady_clock::now() >= deadline) {
      disconnect();
      return "timeout";
    }
    next = PQconnectPoll(connection_);
  }
  const std::string_view words = PQerrorMessage(connection_);
  const bool refused = words.contains("Connection refused") || words.contains("No such file or directory");
  disconnect();
  return refused ? "refused" : "connection";
}

void PgClient::disconnect() {
  PQfinish(connection_);
  connection_ = nullptr;
}

PgReply PgClient::lost(const char* why) {
  PgReply reply{.failure = why, .message = PQerrorMessage(connection_), .tag = {}, .row = {}};
  disconnect();
  return reply;
}

PgReply PgClient::query(const char* sql, SteadyTime deadline) {
  if (PQsendQuery(connection_, sql) == 0) return lost("reset");
  return collect(deadline);
}

PgReply PgClient::query(const char* sql, const std::string& text, const std::string& bytes, SteadyTime deadline) {
  const std::array values{text.c_str(), bytes.data()};
  const std::array lengths{static_cast<int>(text.size()), static_cast<int>(bytes.size())};
  const std::array formats{0, 1};
  if (PQsendQueryParams(connection_, sql, 2, nullptr, values.data(), lengths.data(), formats.data(), 0) == 0)
    return lost("reset");
  return collect(deadline);
}

PgReply PgClient::collect(SteadyTime deadline) {
  while (true) {
    const int unsent = PQflush(connection_);
    if (unsent < 0) return lost("reset");
    if (unsent == 0) break;
    if (!wait(true, deadline)) return lost("timeout");
    if (PQconsumeInput(connection_) == 0) return lost("reset");
  }
  PgReply reply;
  while (true) {
    while (PQisBusy(connection_) != 0) {
      if (!wait(false, deadline)) return lost("timeout");
      if (PQconsumeInput(connection_) == 0 && PQisBusy(connection_) != 0) return lost("reset");
    }
    const std::unique_ptr<PGresult, decltype(&PQclear)> result(PQgetResult(connection_), &PQclear);
    if (!result) break;
    const auto status = PQresultStatus(result.get());
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
      reply.tag = PQcmdStatus(result.get());
      if (PQntuples(result.get()) > 0 && reply.row.empty())
        for (int i = 0; i < PQnfields(result.get()); ++i) reply.row.emplace_back(PQgetvalue(result.get(), 0, i));
    } else if (!reply.failure) {
      const char* sqlstate = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
      reply.failure = sqlstate != nullptr ? std::string("sqlstate_") + sqlstate : "reset";
      reply.message = PQresultErrorMessage(result.get());
    }
  }
  if (PQstatus(connection_) == CONNECTION_BAD) {
    if (!reply.failure) reply.failure = "reset";
    disconnect();
  }
  return reply;
}

bool PgClient::rest_until(SteadyTime until) {
  while (std::chrono::steady_clock::now() < until) {
    if (connection_ == nullptr) {
      std::this_thread::sleep_until(until);
      return true;
    }
    if (!wait(false, until)) return true;
    // Something arrived unasked: a notice or parameter change, or the end.
    if (PQconsumeInput(connection_) == 0 || PQstatus(connection_) == CONNECTION_BAD) {
      disconnect();
      return false;
    }
  }
  return true;
}

}  // namespace load
