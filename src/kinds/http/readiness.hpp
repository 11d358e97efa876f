// What stands in for replication and promotion where instances share their data elsewhere: is the shadow ready to
// serve?
#pragma once

#include <memory>

#include "act/promote/promoter.hpp"
#include "act/replicate/replicator.hpp"
#include "kinds/http/options.hpp"

namespace foreshadow::kinds::http {

// "follow" waits until the shadow answers its probe several times in a row. There is nothing to copy or to free.
std::unique_ptr<act::Replicator> make_replicator(HttpOptions options);
// Only prove_equal and writable look at the world (one probe over a fresh connection). The other steps have nothing to
// do, and their answers say so: an HTTP handover moves requests, not the right to write.
std::unique_ptr<act::Promoter> make_promoter(HttpOptions options);

}  // namespace foreshadow::kinds::http
