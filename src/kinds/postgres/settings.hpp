// The options of kind postgres, as their values. Secrets are never among them: a password lives in libpq's password
// file or service file, so that no argument list, log or journal can show it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "domain/resource.hpp"

namespace foreshadow::kinds::postgres {

// Value of option agent_socket. Never a default: whoever acts without an agent acts without its book of epochs.
inline constexpr const char* kHere = "here";

enum class SlotPolicy { none, bounded };

struct PgSettings {
  std::string database = "postgres";
  std::string user = "postgres";
  std::string replication_user;  // defaults to `user`
  std::string password_file;     // libpq passfile; empty: none
  std::string service;           // entry of libpq's connection service file; empty: none
  std::string bin_dir;           // pg_ctl, pg_basebackup, ...; empty: those of the cluster's own version
  // Bytes per second of a base copy; nothing: as fast as it goes, which a dying primary may not survive.
  std::optional<std::uint64_t> max_rate = 20'000'000;
  // A base copy is refused or abandoned when the primary's volume has less room than this; nothing: two WAL segments.
  std::optional<std::uint64_t> headroom_min;
  bool spread_checkpoint = false;
  SlotPolicy slot = SlotPolicy::none;
  // Unlogged relations are empty after a promotion; the operator may have said that they may be.
  bool empty_unlogged = false;
  std::string ballast_file;  // removed when the fence needs room; empty: none
  Millis connect_timeout{2000};
  // Where the agent on the databases' host listens; kHere: act in this process, which is the agent; empty: nobody may
  // act.
  std::string agent_socket;
};

struct PgOption {
  const char* name;
  const char* help;
};
// Every one of these, in the order people read them. What the gateway alone reads is in gateway/tls_options.hpp.
const std::vector<PgOption>& pg_options();
// Names and values; the error names the option and what it may be. The gateway's own are let pass.
Result<PgSettings> pg_settings(const std::map<std::string, std::string>& options);
// <root>/<major version>/bin, where Debian puts a version's programs. Another version's would misread the cluster or
// refuse it, so there is no second best: invalid, and the text says what to do.
Result<std::string> bin_dir_of(int major_version, const std::string& root = "/usr/lib/postgresql");

}  // namespace foreshadow::kinds::postgres
