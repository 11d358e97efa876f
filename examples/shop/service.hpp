// What the shop answers to a request. One Service per worker thread: it owns that thread's database connection.
#pragma once

#include <cstddef>
#include <string>

#include "shop/http.hpp"
#include "shop/store.hpp"

namespace shop {

struct ServiceSettings {
  std::string name;            // shown by /healthz, so that a person sees who answered
  std::string database;        // libpq conninfo
  std::size_t leak_bytes = 0;  // on every order, mirrored ones too: the same work must meet the same fault
};

class Service {
 public:
  explicit Service(const ServiceSettings& settings) : settings_(settings), store_(settings.database) {}
  Response answer(const Request& request);

 private:
  Response healthz();
  Response product(const std::string& id);
  Response order(const std::string& op);
  Response place_order(const Request& request);
  Response unavailable() const;

  const ServiceSettings& settings_;
  Store store_;
};

}  // namespace shop
