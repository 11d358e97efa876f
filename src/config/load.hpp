// YAML text -> Config. Every mistake is told at once, each as `file:line:column: what is wrong; the mend` on a line of
// its own, at most twenty. What the file says is checked here whole, so that no process starts on half of it; what the
// world says (is the address reachable, does the directory exist) is not asked, save for TLS's files where wanted.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "config/config.hpp"

namespace foreshadow::kinds {
class Kind;
}

namespace foreshadow::config {

using Kinds = std::vector<std::unique_ptr<kinds::Kind>>;

// files: certificates, keys and authorities are read too, as whoever will use them must be able to.
enum class Ask { text, files };

inline constexpr std::size_t kFileBytesMax = 1 << 20;

// Section ("resource", "policy.hold") -> the keys it may hold: what the parser really asked for, to hold docs against.
using KnownKeys = std::map<std::string, std::set<std::string>>;

// Errors: unreachable (no such file), io, invalid (all mistakes, as above).
Result<Config> load(const std::string& file, const Kinds& kinds, Ask ask = Ask::text);
// `file` is used in messages, `base_dir` (absolute) for relative paths. Never throws, whatever the bytes.
Result<Config> parse(std::string_view text, const std::string& file, const std::string& base_dir, const Kinds& kinds,
                     KnownKeys* known = nullptr, Ask ask = Ask::text);

}  // namespace foreshadow::config
