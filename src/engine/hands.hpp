// The port that does effects. The real one runs each on a worker and posts the answer to the engine's inbox; the
// simulator has its own.
#pragma once

#include "domain/effect.hpp"

namespace foreshadow::engine {

class Hands {
 public:
  virtual ~Hands() = default;
  // Returns at once. The answer, an EffectDone with the effect's id, comes as an event; exactly one, unless the process dies.
  virtual void start(const Effect& effect) = 0;
  // Asks a running effect to give up (an operator's abort). Its EffectDone still comes.
  virtual void cancel(EffectId id) = 0;
};

}  // namespace foreshadow::engine
