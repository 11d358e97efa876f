// What every session of one listener shares.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "kinds/http/options.hpp"
#include "kinds/http/session/client_quota.hpp"
#include "kinds/http/session/complaints.hpp"
#include "kinds/http/session/credentials.hpp"
#include "kinds/http/session/mirror.hpp"
#include "kinds/http/session/pool.hpp"
#include "kinds/http/session/tunnels.hpp"
#include "kinds/http/trial/trial.hpp"
#include "kinds/http/wire/head.hpp"
#include "kinds/http/wire/identity.hpp"
#include "kinds/http/wire/match.hpp"
#include "proxy/rest_room.hpp"
#include "proxy/settings.hpp"

namespace foreshadow::kinds::http {

class AccessLog;
class Insurer;

// Shared, because frames of sessions and mirrors may outlive the protocol at the very end.
struct Core {
  proxy::ListenerSettings settings;
  HttpOptions options;
  Matcher matcher;
  // What holds for requests of one segment, by its index; the last for those of none.
  struct Rules {
    Sticky sticky;
    Millis upstream_timeout{0};
    Millis request_timeout{0};  // of the whole request; 0: none
    bool reads_flow = false;    // safe methods go on in a hold
    std::string idempotency_key;  // in lower case; empty: its service does not tell repeated writes apart
  };
  std::vector<Rules> rules;
  Limits limits;
  Complaints complaints{""};  // about clients
  std::shared_ptr<ClientQuota> quota;
  std::shared_ptr<Credentials> credentials;
  std::shared_ptr<Watchdog> watchdog;
  std::shared_ptr<proxy::RestRoom> rest;  // null: connections stay with their sessions
  std::shared_ptr<Pool> pool;
  std::shared_ptr<Comparer> comparer;  // null: answers are not compared
  std::shared_ptr<SpoolRoom> spool_room;
  std::shared_ptr<Mirror> mirror;
  std::shared_ptr<MirrorTrial> trial;  // null: what is to be mirrored is, without further ado
  std::shared_ptr<Insurer> insurer;  // null: no segment is insured
  std::shared_ptr<Tunnels> tunnels;
  std::shared_ptr<AccessLog> access_log;  // null: none is kept
  IdentityRules identity;
  Random random{0};  // for ids

  // Something comes before a client's first request (arrival.hpp).
  bool has_arrivals() const { return settings.proxy_protocol || credentials->server(); }
  bool honours_mirror_mark(std::size_t segment) const {
    return segment < settings.segments.size() && settings.segments[segment].honours_mirror_mark;
  }
};

}  // namespace foreshadow::kinds::http
