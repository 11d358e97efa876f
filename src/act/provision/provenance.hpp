// What was made under which key, kept durably: the proof that something is ours to destroy. Written before anything is
// made and again when it is known, so that a crash between leaves a trace and never a stranger's thing to destroy.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "domain/resource.hpp"
#include "io/files.hpp"

namespace foreshadow::act {

struct Made {
  enum class Stage { begun, made, destroyed } stage = Stage::begun;
  ResourceId resource;
  std::optional<Instance> instance;    // once it was made
  std::vector<std::string> addresses;  // of what infrastructure code planned to create
};

// One file per key in a directory, and a lock on each while somebody works on it.
class Provenance {
 public:
  // Holds the key's lock for the object's life. Errors: invalid (a key that is no file name), conflict (somebody works
  // on this key), corrupt (the file is damaged), io.
  static Result<Provenance> open(const std::string& directory, const std::string& key);

  const std::optional<Made>& made() const { return made_; }
  Result<void> store(Made made);
  // That `instance` is what was made for `resource` under this key; refused otherwise, saying what differs.
  Result<void> confirm(const ResourceId& resource, const Instance& instance) const;

 private:
  Provenance(io::FileLock lock, std::string path, std::string key)
      : lock_(std::move(lock)), path_(std::move(path)), key_(std::move(key)) {}
  io::FileLock lock_;
  std::string path_, key_;
  std::optional<Made> made_;
};

// A key may become a file name: letters, digits, '-', '_', '.', not beginning with '.', at most 200.
bool usable_key(const std::string& key);

}  // namespace foreshadow::act
