// What stands in for replication and promotion where instances share their data elsewhere: is the shadow ready to
// serve?
#pragma once

#include <memory>

#include "act/promote/promoter.hpp"
#include "act/replicate/replicator.hpp"
#include "kinds/tcp/options.hpp"

namespace foreshadow::kinds::tcp {

// "follow" waits until the shadow passes its probe several times in a row. There is nothing to copy or to free.
std::unique_ptr<act::Replicator> make_replicator(TcpOptions options);
// Only prove_equal and writable look at the world (one probe over a fresh connection). The other steps have nothing to
// do, and their answers say so: a handover of streams moves connections, not the right to
// write.
std::unique_ptr<act::Promoter> make_promoter(TcpOptions options);

}  // namespace foreshadow::kinds::tcp
