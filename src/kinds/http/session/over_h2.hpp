// A request's way to an instance that speaks HTTP/2, whatever its client speaks: sends the head and what is here of the
// body, carries the rest on while the answer may already be coming, and reads the heads of the answer. Both sessions do
// only what differs between their clients.
#pragma once

#include <optional>

#include "kinds/http/h2client/call.hpp"
#include "kinds/http/session/request.hpp"

namespace foreshadow::kinds::http {

// The client, as such a request knows it.
class Uploader : public InterimSink {
 public:
  // Moves what is here of the body to the call, and its end. `hungry`: all of that was taken, and more must come from
  // the client. Ends: client_gone, client_bad, too_large.
  virtual std::optional<End> push(h2client::Call& call, bool& hungry) = 0;
  // Waits for a change of the call, or for the client if it is `hungry`. Ends: client_gone, timeout (until `deadline`
  // nothing changed; a hungry one has the client's patience instead).
  virtual awaitable<std::optional<End>> wait(h2client::Call& call, bool hungry, Watch::Steady::time_point deadline) = 0;
  // Has the client send the body that it holds back. False: it is gone.
  virtual awaitable<bool> invite() = 0;
  // push() has taken more of the body, or its end, than Request keeps.
  virtual bool spent() const = 0;

 protected:
  ~Uploader() = default;
};

// To the final head; the body may not be all sent then. `out` is for the head that goes out.
awaitable<Attempt> try_over_h2(const Core& core, Request& request, const Instance& target, const Arrival& client,
                               h2client::Call& call, Uploader& uploader, std::string& out, Answer& answer,
                               Framing& framing);

}  // namespace foreshadow::kinds::http
