// Which requests of the loader are writes, and the file in which it tells what became of each: a line with its id and
// `acknowledged`, `refused` or `unknown`.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>

namespace foreshadow::bench {

class Writes {
 public:
  // `share` of the requests. Ends the program if the file cannot be made.
  Writes(const std::string& file, double share) : share_(share), file_(std::fopen(file.c_str(), "w"), std::fclose) {
    if (file_) return;
    std::perror(file.c_str());
    std::exit(1);
  }

  // Of the next request: an id of its own, or 0 for a read.
  std::uint64_t choose(std::mt19937_64& chance) {
    return std::uniform_real_distribution<double>()(chance) < share_ ? ++last_ : 0;
  }

  void note(std::uint64_t id, const char* outcome) { fmt::print(file_.get(), "{} {}\n", id, outcome); }

  void flush() { std::fflush(file_.get()); }

 private:
  const double share_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  std::uint64_t last_ = 0;
};

}  // namespace foreshadow::bench
