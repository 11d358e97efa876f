// The bytes of our RPC: one JSON object a line. Pure; sizes and nesting are bounded, so that a line cannot exhaust
// memory or the stack.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace foreshadow::io {

inline constexpr std::size_t kRpcLineMax = 4 << 20;  // bytes, without the newline
inline constexpr int kRpcDepthMax = 64;

// One JSON object, or invalid with the reason.
Result<nlohmann::json> parse_rpc_line(std::string_view line);
// The value or the error that an answer line carries; invalid if it is not an answer.
Result<nlohmann::json> parse_rpc_answer(std::string_view line);

// With the newline. Bytes that are not UTF-8 are replaced. invalid: longer than kRpcLineMax, or nested too deep.
Result<std::string> write_rpc_line(const nlohmann::json& object);
// Always a line: an answer too large becomes an error answer that says so.
std::string write_rpc_answer(const Result<nlohmann::json>& answer);

}  // namespace foreshadow::io
