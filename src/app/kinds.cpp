#include "app/kinds.hpp"

#include "kinds/http/http_kind.hpp"
#include "kinds/postgres/postgres_kind.hpp"
#include "kinds/tcp/tcp_kind.hpp"

namespace foreshadow::app {

std::vector<std::unique_ptr<kinds::Kind>> all_kinds() {
  std::vector<std::unique_ptr<kinds::Kind>> kinds;
  kinds.push_back(foreshadow::kinds::make_http_kind());
  kinds.push_back(foreshadow::kinds::make_postgres_kind());
  kinds.push_back(foreshadow::kinds::make_tcp_kind());
  return kinds;
}

std::vector<const kinds::Kind*> borrow(const std::vector<std::unique_ptr<kinds::Kind>>& kinds) {
  std::vector<const kinds::Kind*> out;
  for (const auto& kind : kinds) out.push_back(kind.get());
  return out;
}

}  // namespace foreshadow::app
