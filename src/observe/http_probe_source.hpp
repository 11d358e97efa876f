// Is it there, as a new client would find it? One GET a scrape over a fresh connection (io/http_client).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/time.hpp"
#include "domain/resource.hpp"
#include "io/http_client.hpp"
#include "observe/source.hpp"

namespace foreshadow::observe {

// Asked for each probe, so that a certificate file that was replaced counts from then on. Null: probes go in the plain.
using ProbeTls = std::function<Result<io::HttpTls>()>;

// Signals: probe_up (1: answered below 500 in time; 0: refused, timed out, 5xx or not HTTP), probe_duration_seconds
// (absent when there was no answer). A scrape that we ourselves stopped, or for
// which our own certificate files are no good, is an error, never a 0.
std::unique_ptr<Source> http_probe_source(InstanceId instance, Endpoint endpoint, std::string path, Millis timeout,
                                          ProbeTls tls = nullptr);

}  // namespace foreshadow::observe
