#include "base/result.hpp"

namespace foreshadow {

const char* to_string(Code code) {
  switch (code) {
    case Code::timeout: return "timeout";
    case Code::unreachable: return "unreachable";
    case Code::refused: return "refused";
    case Code::invalid: return "invalid";
    case Code::conflict: return "conflict";
    case Code::cancelled: return "cancelled";
    case Code::corrupt: return "corrupt";
    case Code::io: return "io";
  }
  return "unknown";
}

}  // namespace foreshadow
