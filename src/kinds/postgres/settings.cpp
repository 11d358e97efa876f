#include "kinds/postgres/settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>

#include "base/units.hpp"
#include "kinds/postgres/gateway/tls_options.hpp"

namespace foreshadow::kinds::postgres {
namespace {

using Take = std::function<Result<void>(PgSettings&, const std::string&)>;

struct Entry {
  PgOption option;
  Take take;
};

Take text(std::string PgSettings::* member) {
  return [member](PgSettings& s, const std::string& v) -> Result<void> {
    if (v.find_first_of("\n\r") != std::string::npos || v.find('\0') != std::string::npos)
      return fail(Code::invalid, "must be one line");
    s.*member = v;
    return {};
  };
}

Take absolute_path(std::string PgSettings::* member) {
  return [member](PgSettings& s, const std::string& v) -> Result<void> {
    if (v.empty() || v.front() != '/' || v.find_first_of("\n\r") != std::string::npos)
      return fail(Code::invalid, "must be an absolute path");
    s.*member = v;
    return {};
  };
}

Result<void> take_rate(PgSettings& s, const std::string& v) {
  if (v == "unlimited") {
    s.max_rate.reset();
    return {};
  }
  FS_TRY(bytes, parse_bytes(v));
  // pg_basebackup --max-rate takes 32 kB/s to 1024 MB/s.
  if (bytes < 32ULL * 1024 || bytes > 1024ULL * 1024 * 1024)
    return fail(Code::invalid, "must be from 32KiB to 1024MiB (a second), or 'unlimited'");
  s.max_rate = bytes;
  return {};
}

const std::vector<Entry>& entries() {
  static const std::vector<Entry> all{
      {{"database", "database that probes and statistics connect to (postgres)"}, text(&PgSettings::database)},
      {{"user",
        "role for control connections; a superuser, or a member of pg_monitor with rights to pg_promote (postgres)"},
       text(&PgSettings::user)},
      {{"replication_user", "role the standby streams as (same as user)"}, text(&PgSettings::replication_user)},
      {{"password_file", "libpq password file, mode 0600 and owned by the user the servers run as"},
       absolute_path(&PgSettings::password_file)},
      {{"service",
        "entry of libpq's service file (PGSERVICEFILE or ~/.pg_service.conf) to take what is not said here from"},
       text(&PgSettings::service)},
      {{"bin_dir", "directory of pg_ctl and its sisters (/usr/lib/postgresql/VERSION/bin, of the cluster's version)"},
       absolute_path(&PgSettings::bin_dir)},
      {{"max_rate", "bytes a second of a base copy, or 'unlimited' (20MB)"}, take_rate},
      {{"headroom_min", "room on the primary's volume below which no base copy is made (two WAL segments)"},
       [](PgSettings& s, const std::string& v) -> Result<void> {
         FS_TRY(bytes, parse_bytes(v));
         s.headroom_min = bytes;
         return {};
       }},
      {{"checkpoint", "of a base copy: fast, or spread over the server's own checkpoint time (fast)"},
       [](PgSettings& s, const std::string& v) -> Result<void> {
         if (v != "fast" && v != "spread") return fail(Code::invalid, "must be 'fast' or 'spread'");
         s.spread_checkpoint = v == "spread";
         return {};
       }},
      {{"slot",
        "none, or bounded: a slot, allowed only where max_slot_wal_keep_size fits the room that is left (none)"},
       [](PgSettings& s, const std::string& v) -> Result<void> {
         if (v != "none" && v != "bounded") return fail(Code::invalid, "must be 'none' or 'bounded'");
         s.slot = v == "bounded" ? SlotPolicy::bounded : SlotPolicy::none;
         return {};
       }},
      {{"unlogged", "what a promotion empties: refuse to hand over while it holds data, or empty (refuse)"},
       [](PgSettings& s, const std::string& v) -> Result<void> {
         if (v != "refuse" && v != "empty") return fail(Code::invalid, "must be 'refuse' or 'empty'");
         s.empty_unlogged = v == "empty";
         return {};
       }},
      {{"ballast_file", "file on the primary's volume that a fence may remove to get room, absolute path"},
       absolute_path(&PgSettings::ballast_file)},
      {{"connect_timeout", "for one connection (2s)"},
       [](PgSettings& s, const std::string& v) -> Result<void> {
         FS_TRY(duration, parse_duration(v));
         if (duration <= Millis{0}) return fail(Code::invalid, "must be above 0");
         s.connect_timeout = duration;
         return {};
       }},
      {{"agent_socket", "socket of the agent on the databases' host; filled in from 'agent'"},
       [](PgSettings& s, const std::string& v) -> Result<void> {
         if (v != kHere && !v.starts_with('/')) return fail(Code::invalid, "must be an absolute path");
         s.agent_socket = v;
         return {};
       }},
  };
  return all;
}

// Read where they are used, and of no use here.
bool is_the_gateways(std::string_view name) {
  return std::ranges::any_of(pg_gateway::tls_option_list(), [&](const auto& option) { return option.name == name; });
}

}  // namespace

const std::vector<PgOption>& pg_options() {
  static const std::vector<PgOption> options = [] {
    std::vector<PgOption> out;
    for (const auto& entry : entries()) out.push_back(entry.option);
    return out;
  }();
  return options;
}

Result<PgSettings> pg_settings(const std::map<std::string, std::string>& options) {
  PgSettings settings;
  for (const auto& [name, value] : options) {
    if (is_the_gateways(name)) continue;
    const Entry* known = nullptr;
    for (const auto& entry : entries())
      if (name == entry.option.name) known = &entry;
    if (known == nullptr) return fail(Code::invalid, fmt::format("option '{}' is unknown to kind postgres", name));
    if (auto taken = known->take(settings, value); !taken)
      return fail(Code::invalid, fmt::format("option '{}': {}", name, taken.error().what));
  }
  if (settings.database.empty()) return fail(Code::invalid, "option 'database': must not be empty");
  if (settings.user.empty()) return fail(Code::invalid, "option 'user': must not be empty");
  if (settings.replication_user.empty()) settings.replication_user = settings.user;
  return settings;
}

Result<std::string> bin_dir_of(int major_version, const std::string& root) {
  auto dir = fmt::format("{}/{}/bin", root, major_version);
  std::error_code missing;
  if (!std::filesystem::exists(dir + "/pg_ctl", missing))
    return fail(Code::invalid, fmt::format("the cluster is of PostgreSQL {0}, and there is no {1}/pg_ctl: install the "
                                           "programs of version {0}, or say in option 'bin_dir' where they are",
                                           major_version, dir));
  return dir;
}

}  // namespace foreshadow::kinds::postgres
