// The shop's state, in PostgreSQL. One Store is one connection and belongs to one thread.
// The tables carry no unique constraint, on purpose: an order done twice must show, not be refused.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

struct pg_conn;

namespace shop {

struct Product {
  std::string name;
  std::int64_t price = 0;
};

struct OrderCount {
  std::int64_t orders = 0;
  std::int64_t ledger = 0;
};

class Store {
 public:
  // `conninfo` as libpq takes it; passwords belong in PGPASSFILE. Connects at first use and again after a loss.
  explicit Store(std::string conninfo);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Each returns false (or nothing) when the database could not do it; why() then says what it answered.
  bool create_schema(int products);
  bool ping();
  std::optional<Product> product(std::int64_t id, bool& found);
  std::optional<OrderCount> order(const std::string& op);
  // One row in `orders`, one in `ledger`, in one transaction. Mirrored: the same work under a lock timeout, so that a
  // copy never makes a real order wait long, and then rolled back.
  bool place(const std::string& op, std::int64_t amount, bool mirrored);

  const std::string& why() const { return why_; }

 private:
  struct Result;
  bool connected();
  Result exec(const char* sql);
  Result exec(const char* sql, const char* const* values, int n);
  Result checked(Result result);

  std::string conninfo_;
  pg_conn* connection_ = nullptr;
  std::string why_;
};

}  // namespace shop
