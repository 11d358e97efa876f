#include "shop/service.hpp"

#include <charconv>
#include <nlohmann/json.hpp>

#include "shop/fault.hpp"

namespace shop {
namespace {

using nlohmann::json;

Response reply(int status, const json& body) {
  return {status, body.dump(-1, ' ', false, json::error_handler_t::replace)};
}
Response problem(int status, const std::string& text) { return reply(status, {{"error", text}}); }

}  // namespace

Response Service::answer(const Request& request) {
  const bool reading = request.method == "GET" || request.method == "HEAD";
  if (request.path == "/healthz") return reading ? healthz() : problem(405, "only GET");
  if (request.path.starts_with("/products/"))
    return reading ? product(request.path.substr(10)) : problem(405, "only GET");
  if (request.path.starts_with("/orders/")) return reading ? order(request.path.substr(8)) : problem(405, "only GET");
  if (request.path == "/orders") return request.method == "POST" ? place_order(request) : problem(405, "only POST");
  return problem(404, "no such path; there are /healthz, /products/<id>, /orders/<op> and POST /orders");
}

Response Service::unavailable() const { return problem(503, "database: " + store_.why()); }

Response Service::healthz() {
  if (!store_.ping()) return unavailable();
  return reply(200, {{"ok", true}, {"name", settings_.name}});
}

Response Service::product(const std::string& id_text) {
  std::int64_t id = 0;
  const auto end = id_text.data() + id_text.size();
  if (const auto [ptr, ec] = std::from_chars(id_text.data(), end, id); ec != std::errc{} || ptr != end)
    return problem(400, "a product id is a number");
  bool found = false;
  const auto product = store_.product(id, found);
  if (!product) return unavailable();
  if (!found) return problem(404, "no such product");
  return reply(200, {{"id", id}, {"name", product->name}, {"price", product->price}});
}

Response Service::order(const std::string& op) {
  const auto count = store_.order(op);
  if (!count) return unavailable();
  if (count->orders == 0 && count->ledger == 0) return problem(404, "no such order");
  return reply(200, {{"op", op}, {"orders", count->orders}, {"ledger", count->ledger}});
}

Response Service::place_order(const Request& request) {
  const auto body = json::parse(request.body, nullptr, false);
  if (!body.is_object() || !body.contains("op") || !body["op"].is_string() || !body.contains("amount") ||
      !body["amount"].is_number_integer())
    return problem(400, R"(an order is {"op":"client-seq","amount":n})");
  const auto op = body["op"].get<std::string>();
  if (op.empty() || op.size() > 100 || op.contains('\0')) return problem(400, "op must have 1 to 100 characters");
  leak(settings_.leak_bytes);
  if (!store_.place(op, body["amount"].get<std::int64_t>(), request.mirrored)) return unavailable();
  return reply(201, {{"op", op}});
}

}  // namespace shop
