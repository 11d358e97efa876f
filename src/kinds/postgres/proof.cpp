#include "kinds/postgres/proof.hpp"

#include <fmt/format.h>

#include <charconv>
#include <vector>

namespace foreshadow::kinds::postgres {

std::string Proof::text() const { return fmt::format("{} marker {} timeline {}", lsn.text(), marker.text(), timeline); }

Result<Proof> parse_proof(const std::string& text) {
  std::vector<std::string_view> words;
  for (std::string_view rest = text; !rest.empty();) {
    const auto end = rest.find(' ');
    words.push_back(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  const auto bad = [&] { return fail(Code::invalid, "'" + text.substr(0, 100) + "' is not a proof of equality"); };
  if (words.size() != 5 || words[1] != "marker" || words[3] != "timeline") return bad();
  const auto lsn = parse_lsn(words[0]);
  const auto marker = parse_lsn(words[2]);
  Proof proof;
  const auto [end, error] = std::from_chars(words[4].data(), words[4].data() + words[4].size(), proof.timeline);
  if (!lsn || !marker || error != std::errc{} || end != words[4].data() + words[4].size() || proof.timeline == 0 ||
      *marker > *lsn)
    return bad();
  proof.lsn = *lsn;
  proof.marker = *marker;
  return proof;
}

}  // namespace foreshadow::kinds::postgres
