// One cluster's data directory, edited the way a crash cannot half-do: every file is written beside, synced, owned by
// the directory's owner, renamed, and the directory synced.
//
// Never starts, stops or asks a server; what is here is true whether one runs or not.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace foreshadow::kinds::postgres {

class DataDir {
 public:
  // Errors: invalid (a name that pg_ctl's shell would misread, not a cluster), unreachable (not there).
  static Result<DataDir> open(const std::string& path);

  const std::string& path() const { return path_; }
  uid_t uid() const { return uid_; }
  gid_t gid() const { return gid_; }

  // 15, from PG_VERSION. corrupt: that is no number.
  Result<int> major_version() const;
  bool has(const std::string& name) const;
  // Whole content, at most 1 MiB.
  Result<std::string> read(const std::string& name) const;
  Result<void> write(const std::string& name, const std::string& content) const;
  // Gone, durably; not there is fine.
  Result<void> remove(const std::string& name) const;

  // Files written before get their real names, in this order, and then all of it is made durable at once. What is cut
  // off half way has done a beginning of the list.
  Result<void> rename_all(const std::vector<std::pair<std::string, std::string>>& from_to) const;
  // A second name for a file as it is now; a file of that name goes. Durable with the next change that is.
  Result<void> keep_as(const std::string& name, const std::string& second_name) const;

  // Sets parameters in postgresql.auto.conf, or takes them out (no value); what else is in it stays. They win over
  // postgresql.conf and lose to the command line.
  Result<void> configure(const std::map<std::string, std::optional<std::string>>& parameters) const;
  // The text of postgresql.auto.conf; empty where there is none.
  Result<std::string> auto_conf() const;

 private:
  DataDir() = default;
  std::string path_;
  uid_t uid_ = 0;
  gid_t gid_ = 0;
};

// The text of postgresql.auto.conf after configure().
std::string edit_auto_conf(const std::string& text,
                           const std::map<std::string, std::optional<std::string>>& parameters);

// Bytes an unprivileged writer may still write on the volume of `path`, and the volume's identity.
struct Volume {
  std::uint64_t available_bytes = 0;
  std::uint64_t device = 0;
};
Result<Volume> volume_of(const std::string& path);

// Removes what is in a directory, links not followed, and keeps the directory.
Result<void> empty_directory(const std::string& path);
Result<bool> is_empty_directory(const std::string& path);

}  // namespace foreshadow::kinds::postgres
