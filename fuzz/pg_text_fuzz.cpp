// What PostgreSQL's own programs print and its servers answer as text. A proof rests on these being read right or refused.
#include <cstddef>
#include <cstdint>
#include <string>

#include "kinds/postgres/base_copy.hpp"
#include "kinds/postgres/data_dir.hpp"
#include "kinds/postgres/proof.hpp"
#include "kinds/postgres/server.hpp"
#include "kinds/postgres/wal.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace foreshadow::kinds::postgres;
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (const auto lsn = parse_lsn(text); lsn && parse_lsn(lsn->text()) != lsn) __builtin_trap();
  if (const auto proof = parse_proof(text); proof && parse_proof(proof->text()) != proof) __builtin_trap();
  if (const auto tail = parse_wal(text, Lsn{0}); tail && tail->commits.size() > tail->records) __builtin_trap();
  static_cast<void>(parse_timeline_history(text));
  static_cast<void>(parse_control_file(text));
  if (copied_fraction(text) > 1) __builtin_trap();
  // Whatever stood there, our parameter stands there once.
  const auto edited = edit_auto_conf(text, {{"port", "1"}});
  if (edit_auto_conf(edited, {{"port", "1"}}) != edited) __builtin_trap();
  return 0;
}
