// How many connections each client address has. One address that takes all that a listener has would keep everybody
// else out; with this it only keeps out itself. Thread-safe, because an address is one whichever of the gateway's
// threads its connections come to.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "kinds/http/session/complaints.hpp"

namespace foreshadow::kinds::http {

// Shared, because frames of sessions may be the last to go.
class ClientQuota : public std::enable_shared_from_this<ClientQuota> {
 public:
  // `max` 0: any number, and nothing is counted. `resource`: for the log.
  ClientQuota(int max, const std::string& resource) : max_(max), complaints_(resource) {}

  // One connection's, for as long as it lives.
  class Place {
   public:
    Place() = default;
    Place(Place&& other) noexcept : quota_(std::move(other.quota_)), key_(other.key_) {}
    Place& operator=(Place&& other) noexcept;
    ~Place() { leave(); }

   private:
    friend class ClientQuota;
    void leave();
    std::shared_ptr<ClientQuota> quota_;  // null: it has none, or none is needed
    std::uint64_t key_ = 0;
  };
  // False: that address has as many as it may, and the connection is to be closed at once. An address that cannot be
  // read (the client has gone already) is not counted.
  bool take(std::string_view address, Place& place);

 private:
  const int max_;
  std::mutex mutex_;  // of what follows
  Complaints complaints_;
  std::unordered_map<std::uint64_t, int> connections_;
};

}  // namespace foreshadow::kinds::http
