// HTTP's certificates and keys are watched as the gateway watches everybody's: the names they go by here.
#pragma once

#include "proxy/conn/credentials.hpp"

namespace foreshadow::kinds::http {

using proxy::Credentials;
using proxy::CredentialSettings;

}  // namespace foreshadow::kinds::http
