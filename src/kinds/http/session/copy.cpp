#include "kinds/http/session/copy.hpp"

#include <optional>
#include <utility>

namespace foreshadow::kinds::http {

void Copy::begin(bool streams) {
  streams_ = streams;
  body_ = std::string();
}

void Copy::keep_body(const Core& core, std::string_view data, std::size_t total) {
  if (!streams_) return;
  streams_ = total <= core.settings.body_spool_max && core.mirror->has_room(total);
  if (streams_)
    body_.append(data);
  else
    body_ = std::string();
}

void Copy::offer(const Core& core, proxy::Gate& gate, const Request& request, std::shared_ptr<const Instance> to,
                 const Arrival& client, bool sent_whole, int primary_status) {
  std::optional<std::string_view> body;
  if (request.whole)
    body = request.body;
  else if (streams_ && sent_whole)
    body = body_;
  if (!body || !core.mirror->has_room(request.bytes.size() + body->size())) {
    answer_.drop();
    gate.mirrored(request.segment, {.dropped = true});
    return;
  }
  auto framing = request.framing;
  if (framing.kind == BodyKind::chunked) framing = {BodyKind::length, body->size()};
  MirrorJob job{&gate, std::move(to), request.segment, std::string(request.head.method), {}, primary_status};
  if (answer_.begun()) {
    job.target = request.head.target;
    job.primary = answer_.take(std::chrono::duration_cast<proxy::Micros>(Watch::Steady::now() - request.received_at));
    job.safe = is_safe(request.head.method);
  }
  append_head_to_instance(job.bytes, core, request, framing, *job.to, client, true);
  job.bytes.append(*body);
  core.mirror->offer(std::move(job));
}

}  // namespace foreshadow::kinds::http
