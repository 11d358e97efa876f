// The record of everything decide learnt and everything it started, in order. A crash replays from it.
// Damage: a torn tail is cut; damage in the middle, or an fsync error, makes the journal refuse to write from then on,
// and the engine then observes only.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "domain/effect.hpp"
#include "domain/event.hpp"

namespace foreshadow::journal {

// One line of the record. `snapshot`: a versioned image of decide's State after `seq`, opaque here.
struct Record {
  std::uint64_t seq = 0;
  enum class Type { event, intent, snapshot } type = Type::event;
  Time at;
  ResourceId resource;
  std::string name;  // name_of(body)
  std::string body;  // one line of JSON
};

struct Recovery {
  std::uint64_t term = 0;  // of this opening: one more than any before
  std::uint64_t last_seq = 0;
  Time last_at;
  std::optional<std::string> snapshot;  // newest State image
  std::uint64_t snapshot_seq = 0;
  std::vector<Event> events;  // those after the snapshot, in order
  bool tail_cut = false;      // a torn last record was dropped
};

// Not thread-safe: the engine's strand owns it. Readers open their own (see sqlite_reader).
class Journal {
 public:
  virtual ~Journal() = default;
  // Once, first. Takes the exclusive lock; conflict: another controller holds it; corrupt: observe-only; invalid:
  // written by a newer version.
  virtual Result<Recovery> open() = 0;
  // `durable`: returns only once it is on disk. Otherwise it may be written in a group, at the latest with the next
  // durable one.
  virtual Result<std::uint64_t> append(const Event& event, bool durable) = 0;
  // The intent of an effect, before it starts. Always ordered after the event that caused it, which is made durable
  // with it when `durable`.
  virtual Result<std::uint64_t> intend(const Effect& effect, Time at, bool durable) = 0;
  // A State image after everything appended so far; older events may be pruned by the retention given at construction.
  virtual Result<void> snapshot(Time at, const std::string& image) = 0;
  // Writes out what is grouped.
  virtual Result<void> flush() = 0;
  // After the first failure to make something durable, everything fails with it.
  virtual bool healthy() const = 0;
};

}  // namespace foreshadow::journal
