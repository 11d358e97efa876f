// HTTP's connections, plain or under TLS, are the gateway's own: the names they go by here.
#pragma once

#include "kinds/http/session/watchdog.hpp"
#include "proxy/conn/conn.hpp"

namespace foreshadow::kinds::http {

using boost::asio::awaitable;
using boost::system::error_code;
using proxy::Conn;

}  // namespace foreshadow::kinds::http
