// What both making a shadow and taking an old primary back need to know of a standby.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>

#include "base/result.hpp"
#include "kinds/postgres/control.hpp"
#include "kinds/postgres/data_dir.hpp"

namespace foreshadow::kinds::postgres {

// postgresql.auto.conf of a standby of `primary`: where it streams from and as whom. Never synchronous for anybody.
std::map<std::string, std::optional<std::string>> standby_parameters(const Instance& primary, const Instance& standby,
                                                                     const PgSettings& settings);

// Where it listens, from its endpoint. A socket directory as host means no TCP, unless attribute "listen_addresses"
// says otherwise; a TCP host means no Unix socket, unless "socket_dir" does.
std::map<std::string, std::optional<std::string>> listen_parameters(const Instance& instance);

// Whether synchronous_standby_names (20.6.2) takes in a standby of this name.
bool names_standby(const std::string& synchronous_standby_names, const std::string& application_name);
// refused: this primary would wait for that standby at every commit, and hang with it when it dies.
Result<void> refuse_synchronous(Control& primary, const Instance& standby, std::stop_token stop);

struct StandbyView {
  bool running = false;
  bool in_recovery = false;
  bool streaming = false;  // so its WAL receiver says; it says so before the other side has agreed
  std::uint32_t received_timeline = 0;
  std::optional<Lsn> received;
  std::optional<Lsn> replayed;
};
// Errors: only those that leave it open whether a server runs (refused, timeout, cancelled); nobody there is an answer.
Result<StandbyView> look_at_standby(const Instance& standby, const PgSettings& settings, std::stop_token stop);

// Returns once the standby streams and has replayed what the primary had flushed when it was first seen streaming.
Result<void> wait_streaming(const Instance& primary, const Instance& standby, const PgSettings& settings,
                            Millis timeout, const std::function<void(const std::string&)>& tell, std::stop_token stop);

}  // namespace foreshadow::kinds::postgres
