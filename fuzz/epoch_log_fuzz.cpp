// Any bytes as an agent's book of epochs. What is found in it is written again as itself; and a log of ours that was
// torn in its last entry gives all entries or all but that one, and with one wrong byte all of them or none.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "act/agent/epoch_log.hpp"
#include "base/assert.hpp"

namespace {

using namespace foreshadow;
using namespace foreshadow::act;

std::string log_of(const std::vector<std::string_view>& bodies) {
  std::string file;
  for (std::size_t i = 0; i < bodies.size(); ++i) file += encode_entry(i + 1, bodies[i]);
  return file;
}

void read(std::string_view file) {
  const auto bodies = read_entries(file);
  if (!bodies) return;
  const auto again = log_of(*bodies);
  const auto found = read_entries(again);
  FS_ASSERT(found && *found == *bodies);
}

void damage(std::string_view data) {
  if (data.size() < 6) return;
  const auto byte = [&](std::size_t at) { return std::size_t{static_cast<unsigned char>(data[at])}; };
  // Bodies end where a line does.
  std::vector<std::string_view> bodies{"head"};
  for (auto rest = data.substr(6); !rest.empty() && bodies.size() < 5;) {
    const auto line = rest.substr(0, rest.find('\n'));
    bodies.push_back(line);
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  }
  if (bodies.size() < 2) return;
  const auto all = log_of(bodies);
  auto fewer = bodies;
  fewer.pop_back();
  const auto begin = log_of(fewer).size();
  auto file = all.substr(0, std::min(all.size(), begin + byte(0) * 256 + byte(1)));
  file.resize(all.size() + 4096, '\0');
  const auto torn = read_entries(file);
  FS_ASSERT(torn && (*torn == bodies || *torn == fewer));
  file = all;
  file.resize(all.size() + 4096, '\0');
  file[(byte(2) * 65536 + byte(3) * 256 + byte(4)) % file.size()] ^= static_cast<char>(data[5] | 1);
  if (const auto damaged = read_entries(file)) FS_ASSERT(*damaged == bodies);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  read(bytes);
  damage(bytes);
  return 0;
}
