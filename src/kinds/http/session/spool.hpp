// The primary's answer on its way to its client, kept beside it to be compared with the shadow's. All such copies of a
// listener together are bounded; one that finds no room is kept without its body. Costs nothing until begin().
#pragma once

#include <memory>
#include <utility>

#include "kinds/http/compare/answer_copy.hpp"

namespace foreshadow::kinds::http {

// What may be kept at once, of all sessions. Not thread-safe.
struct SpoolRoom {
  std::size_t left = 16 << 20;  // bytes
  std::size_t body_max = 64 << 10;
};

// Not movable. Gives back what it holds.
class Spool {
 public:
  Spool() = default;
  ~Spool() { give_back(); }
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  // A new answer. `room` is shared, because a session may outlive the protocol at the very end.
  void begin(std::shared_ptr<SpoolRoom> room, std::string_view head) {
    drop();
    room_ = std::move(room);
    copy_.head = head;
  }
  bool begun() const { return room_ != nullptr; }
  void keep(std::string_view data) {
    if (!room_) return;
    const auto before = copy_.body.size();
    copy_.keep(data, data.size() > room_->left ? 0 : room_->body_max);
    room_->left = room_->left + before - copy_.body.size();
  }
  void drop() {
    give_back();
    room_.reset();
    copy_ = {};
  }
  // Requires: begun.
  AnswerCopy take(std::chrono::microseconds took) {
    give_back();
    room_.reset();
    copy_.took = took;
    return std::exchange(copy_, {});
  }

 private:
  void give_back() {
    if (room_) room_->left += copy_.body.size();
  }
  std::shared_ptr<SpoolRoom> room_;  // null: nothing is kept
  AnswerCopy copy_;
};

}  // namespace foreshadow::kinds::http
