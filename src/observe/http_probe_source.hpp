// Is it there, as a new client would find it? One GET a scrape over a fresh connection (io/http_client).
#pragma once

#include <memory>
#include <string>

#include "base/time.hpp"
#include "domain/resource.hpp"
#include "observe/source.hpp"

namespace foreshadow::observe {

// Signals: probe_up (1: answered below 500 in time; 0: refused, timed out, 5xx or not HTTP), probe_duration_seconds
// (absent when there was no answer). A scrape that we ourselves stopped is an error, never a 0.
std::unique_ptr<Source> http_probe_source(InstanceId instance, Endpoint endpoint, std::string path, Millis timeout);

}  // namespace foreshadow::observe
