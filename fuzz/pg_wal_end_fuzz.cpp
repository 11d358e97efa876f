// The end of a dead server's log, read from files that may hold anything: bytes become one segment of 32 KiB. Whatever
// it holds, an end is behind the last record, and the answer is the same twice.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "kinds/postgres/wal_end.hpp"

namespace {

// One for the life of the process.
const std::string& directory() {
  static const std::string path = [] {
    std::string made = (std::filesystem::temp_directory_path() / "fs-wal-end-XXXXXX").string();
    if (mkdtemp(made.data()) == nullptr) std::abort();
    std::filesystem::create_directory(made + "/pg_wal");
    if (auto* file = std::fopen((made + "/PG_VERSION").c_str(), "w")) std::fclose(file);
    std::atexit([] { std::filesystem::remove_all(directory()); });
    return made;
  }();
  return path;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace foreshadow::kinds::postgres;
  if (size < 2) return 0;
  const LogPlace place{1, 32 << 10};
  const Lsn last{place.segment_bytes + (data[0] * 256U + data[1]) % place.segment_bytes / 8 * 8};
  auto* file = std::fopen((directory() + "/pg_wal/" + segment_name(place, 1)).c_str(), "w");
  if (file == nullptr) std::abort();
  std::fwrite(data + 2, 1, size - 2, file);
  std::fclose(file);
  const auto dir = DataDir::open(directory());
  if (!dir) std::abort();
  const auto end = end_of_log(*dir, place, last);
  if (end && *end <= last) __builtin_trap();
  if (end.has_value() != end_of_log(*dir, place, last).has_value()) __builtin_trap();
  static_cast<void>(holds_page(*dir, place, last));
  return 0;
}
