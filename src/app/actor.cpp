#include "app/actor.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

namespace foreshadow::app {

std::string actor() {
  const auto* user = ::getpwuid(::geteuid());
  char host[65] = "localhost";
  (void)::gethostname(host, sizeof host - 1);
  return fmt::format("{}@{}", user != nullptr ? user->pw_name : std::to_string(::geteuid()), host);
}

}  // namespace foreshadow::app
