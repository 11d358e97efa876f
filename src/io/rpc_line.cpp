#include "io/rpc_line.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace foreshadow::io {
namespace {

using nlohmann::json;

constexpr Code kCodes[] = {Code::timeout,  Code::unreachable, Code::refused, Code::invalid,
                           Code::conflict, Code::cancelled,   Code::corrupt, Code::io};

Result<Code> parse_code(const std::string& text) {
  for (const Code code : kCodes)
    if (text == to_string(code)) return code;
  return fail(Code::invalid, "unknown error code '" + text + "'");
}

// The JSON library parses any depth but prints and copies by recursion. Counted before parsing, in one pass.
bool too_deep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kRpcDepthMax) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

}  // namespace

Result<json> parse_rpc_line(std::string_view line) {
  if (line.size() > kRpcLineMax)
    return fail(Code::invalid, "line longer than " + std::to_string(kRpcLineMax) + " bytes");
  if (too_deep(line)) return fail(Code::invalid, "JSON nested deeper than " + std::to_string(kRpcDepthMax));
  try {
    json object = json::parse(line);
    if (!object.is_object())
      return fail(Code::invalid, std::string("a JSON object was expected, not ") + object.type_name());
    return object;
  } catch (const json::exception& e) {
    return fail(Code::invalid, std::string("not JSON: ") + e.what());
  }
}

Result<json> parse_rpc_answer(std::string_view line) {
  FS_TRY(object, parse_rpc_line(line));
  const auto ok = object.find("ok");
  if (ok == object.end() || !ok->is_boolean()) return fail(Code::invalid, "answer without a boolean 'ok'");
  if (ok->get<bool>()) {
    const auto value = object.find("value");
    if (value == object.end()) return fail(Code::invalid, "answer without a 'value'");
    return std::move(*value);
  }
  const auto error = object.find("error");
  if (error == object.end() || !error->is_object()) return fail(Code::invalid, "error answer without an 'error'");
  const auto code = error->find("code"), what = error->find("what");
  if (code == error->end() || !code->is_string() || what == error->end() || !what->is_string())
    return fail(Code::invalid, "error answer without 'code' and 'what'");
  FS_TRY(known, parse_code(code->get<std::string>()));
  return fail(known, what->get<std::string>());
}

Result<std::string> write_rpc_line(const json& object) {
  std::string line = object.dump(-1, ' ', false, json::error_handler_t::replace);
  if (line.size() > kRpcLineMax)
    return fail(Code::invalid, "a message of " + std::to_string(line.size()) + " bytes is longer than the " +
                                   std::to_string(kRpcLineMax) + " allowed");
  if (too_deep(line)) return fail(Code::invalid, "a message nested deeper than " + std::to_string(kRpcDepthMax));
  line += '\n';
  return line;
}

std::string write_rpc_answer(const Result<json>& answer) {
  const auto error_answer = [](const Error& error) {
    return json{{"ok", false}, {"error", {{"code", to_string(error.code)}, {"what", error.what}}}};
  };
  auto line = write_rpc_line(answer ? json{{"ok", true}, {"value", *answer}} : error_answer(answer.error()));
  if (!line) line = write_rpc_line(error_answer({Code::invalid, "the answer cannot be sent: " + line.error().what}));
  return *line;
}

}  // namespace foreshadow::io
