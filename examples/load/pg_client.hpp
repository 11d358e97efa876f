// One PostgreSQL connection with a deadline on everything, over libpq's asynchronous calls: a hung server must show as
// a timeout, not hang the load. Never retries and never reconnects by itself. One thread at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "load/schedule.hpp"

struct pg_conn;

namespace load {

struct PgReply {
  std::optional<std::string> failure;  // a class name as in Answer; absent: done
  std::string message;                 // the server's own words, for people
  std::string tag;                     // "INSERT 0 1", "COMMIT", "ROLLBACK"
  std::vector<std::string> row;        // the first row, NULL as ""
};

class PgClient {
 public:
  explicit PgClient(std::string conninfo) : conninfo_(std::move(conninfo)) {}
  ~PgClient() { disconnect(); }
  PgClient(const PgClient&) = delete;
  PgClient& operator=(const PgClient&) = delete;

  bool connected() const { return connection_ != nullptr; }
  // The failure's class, or nothing once connected.
  std::optional<std::string> connect(SteadyTime deadline);
  void disconnect();

  // After a failure that leaves no usable connection, connected() is false.
  PgReply query(const char* sql, SteadyTime deadline);
  // $1 is text, $2 binary.
  PgReply query(const char* sql, const std::string& text, const std::string& bytes, SteadyTime deadline);

  // Sleeps until `until`, watching. False as soon as the idle connection is found lost (and it is then disconnected).
  bool rest_until(SteadyTime until);

 private:
  // False at the deadline.
  bool wait(bool for_write, SteadyTime deadline) const;
  PgReply collect(SteadyTime deadline);
  PgReply lost(const char* why);

  std::string conninfo_;
  pg_conn* connection_ = nullptr;
};

}  // namespace load
