// The insurance of one request: where its instance fails before its answer has begun, or cuts it, the shadow is asked
// the same, then and not before, and its answer is taken if it may be. A safe request may be sent twice (RFC 9110,
// section 9.2.2), it carries what the client sent and nothing else, and its answer is read for nobody but this client.
// Costs a few stores as long as the instance does what it should.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "kinds/http/session/body.hpp"
#include "kinds/http/session/insurer.hpp"
#include "kinds/http/session/request.hpp"
#include "kinds/http/session/splice.hpp"

namespace foreshadow::kinds::http {

// The field of an answer that is the shadow's: "X-Foreshadow-Insured: shadow".
inline constexpr std::string_view kInsuredName = "X-Foreshadow-Insured";
inline constexpr std::string_view kInsuredValue = "shadow";

// Not movable. Lives shorter than what it is given.
class Cover {
 public:
  // `gone`: the client is; null: that is not known before it is written to.
  Cover(Core& core, proxy::Gate& gate, Arrival& client, const Request& request, std::function<bool()> gone = nullptr)
      : core_(core), gate_(gate), client_(client), request_(request), gone_(std::move(gone)) {}
  Cover(const Cover&) = delete;
  Cover& operator=(const Cover&) = delete;

  // The request goes to this instance. Only safe ones that are here whole are insured, and only the current side is.
  void begin(const proxy::Pass& pass);
  // An answer of the instance with this status counts as its failure.
  bool counts(int status) const;
  // Asks the shadow for its answer. True: conn() stands behind the head of answer().
  awaitable<bool> ask();
  // ask() was true.
  bool served() const { return served_; }
  // The shadow was asked at all: it needs no copy any more.
  bool asked() const { return help_ != nullptr; }
  bool marks() const { return served_ && terms_->mark; }
  // After ask() or complete() was true.
  Conn& conn() { return *help_->conn; }
  const Answer& answer() const { return help_->answer; }
  const Framing& framing() const { return help_->framing; }

  // The instance has begun with this answer. True: if it cuts it, complete() may be asked.
  bool watch(const Answer& answer, const Framing& framing);
  CutAnswer& cut() { return *cut_; }
  // Asks the shadow for what is missing. True: reader() has handed out so much of the same answer, and what it handed
  // out beyond that is rest().
  awaitable<bool> complete();
  BodyReader& reader() { return *help_->reader; }
  std::string_view rest() const { return help_->rest; }

  // The shadow's answer was read to its end: `reusable`: its connection is fit for another request.
  void finish(bool reusable);

 private:
  bool choose();
  awaitable<bool> send(std::string_view more_fields);
  awaitable<bool> skip_what_passed();
  bool is_gone() const { return gone_ && gone_(); }
  // Nothing of the shadow's is of use. `unfit`: it is to blame.
  bool fail(bool unfit);

  Core& core_;
  proxy::Gate& gate_;
  Arrival& client_;
  const Request& request_;
  std::function<bool()> gone_;
  const InsuranceOptions* terms_ = nullptr;  // null: not insured
  InstanceId failed_;
  bool served_ = false;
  std::optional<CutAnswer> cut_;
  // Once for each request, and only where it comes to that.
  struct Help {
    Help(Insurer& insurer, std::size_t segment, Instance instance)
        : asking(std::in_place, insurer, segment), shadow(std::move(instance)) {}
    std::optional<Insurer::Asking> asking;
    Instance shadow;
    std::unique_ptr<Conn> conn;
    Answer answer;
    Framing framing;
    std::optional<BodyReader> reader;
    std::string_view rest;
  };
  std::unique_ptr<Help> help_;  // null: the shadow was not asked
};

}  // namespace foreshadow::kinds::http
