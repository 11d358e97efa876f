// What one request's copy for the shadow is made of: a body that streams past, as long as there is room for it, and the
// primary's answer on its way to the client, to be compared with the shadow's. Costs nothing where no copy is made. It
// never keeps a request, a body or an answer from going on.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "kinds/http/session/request.hpp"

namespace foreshadow::kinds::http {

// Lives on one thread. Not movable.
class Copy {
 public:
  // Anew, for a request. `streams`: it is to be copied, and its body is not all here.
  void begin(bool streams);
  // That body goes to an instance, from its beginning: this was read ahead.
  void begin_body(std::string_view ahead) {
    if (streams_) body_ = ahead;
  }
  // It goes on; `total`: its bytes so far, with these.
  void keep_body(const Core& core, std::string_view data, std::size_t total);

  // If answers are compared.
  void begin_answer(const Core& core, const Answer& answer) {
    if (core.comparer) answer_.begin(core.spool_room, answer.bytes);
  }
  void keep_answer(std::string_view data) { answer_.keep(data); }
  // It did not come whole.
  void drop_answer() { answer_.drop(); }

  // To the mirror; where there was no room, that is counted. `sent_whole`: all of the body was. `primary_status`: 0 if
  // it failed.
  void offer(const Core& core, proxy::Gate& gate, const Request& request, std::shared_ptr<const Instance> to,
             const Arrival& client, bool sent_whole, int primary_status);

 private:
  std::string body_;
  bool streams_ = false;  // and all of it was kept so far
  Spool answer_;
};

}  // namespace foreshadow::kinds::http
