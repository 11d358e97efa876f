#include "proxy/protocol.hpp"

#include <nlohmann/json.hpp>

namespace foreshadow::proxy {

Result<nlohmann::json> Protocol::differences() const {
  return fail(Code::refused, "answers of this kind are not compared field by field");
}

}  // namespace foreshadow::proxy
