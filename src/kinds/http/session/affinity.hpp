// Which client a request is from, for the gate: one of these for each client connection, asked for each request on it.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <string>

#include "kinds/http/sticky.hpp"
#include "kinds/http/wire/head.hpp"

namespace foreshadow::kinds::http {

// Not thread-safe.
class Affinity {
 public:
  // A client that is gone already has no address, and draws afresh.
  Affinity() = default;
  explicit Affinity(const boost::asio::ip::tcp::endpoint& client);

  struct Key {
    std::uint64_t sticky = 0;  // for the gate
    bool new_client = false;   // set_cookie() should go with the answer, if that may carry one
  };
  // Where what `sticky` names is not in the request, the connection stands in for it.
  Key key(const Sticky& sticky, const RequestHead& head);
  // The value of the Set-Cookie field that names this connection's client from now on. `secure`: it came over TLS.
  std::string set_cookie(bool secure) const;
  // It knows something that another one for the same connection would not.
  bool remembers() const { return !own_id_.empty(); }

 private:
  std::uint64_t connection_ = 0;
  std::uint64_t address_ = 0;
  std::string own_id_;  // drawn when first needed, then the same for all of the connection
};

}  // namespace foreshadow::kinds::http
