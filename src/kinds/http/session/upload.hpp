// The body of a request on its way from a client of HTTP/1.1 to an instance that speaks HTTP/2 (over_h2.hpp).
#pragma once

#include "kinds/http/session/session.hpp"

namespace foreshadow::kinds::http {

// Everything given outlives it. What it lends to a call lies in the client's buffer, which is not read into meanwhile.
class Session::Upload final : public Uploader {
 public:
  Upload(Session& session, Request& request, BodyReader& body) : session_(session), request_(request), body_(body) {}
  // Anew, with what of the body was read ahead.
  void begin();
  std::optional<End> push(h2client::Call& call, bool& hungry) override;
  awaitable<std::optional<End>> wait(h2client::Call& call, bool hungry, Watch::Steady::time_point deadline) override;
  awaitable<bool> invite() override;
  bool spent() const override { return !request_.whole && (done_ || total_ > request_.body.size()); }
  // Carries the body on until more of the answer is here, or all, or the call is over. Ends: as wait().
  awaitable<std::optional<End>> more(h2client::Call& call, Millis timeout);
  awaitable<bool> interim(const Answer& answer) override { return session_.interim(answer); }

 private:
  Session& session_;
  Request& request_;
  BodyReader& body_;
  std::size_t total_ = 0;
  bool done_ = true;
};

}  // namespace foreshadow::kinds::http
