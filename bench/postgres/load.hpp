// The loop of the loader: one thread, all clients. Closed (each client begins again once it is done) or open (--rate:
// transactions come due as a Poisson process with a fixed seed, whether or not a client is free). It comes round at
// least every two milliseconds, so that it knows, and tells, when it was late itself.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "postgres/client.hpp"
#include "postgres/run.hpp"

namespace foreshadow::bench::pg {

// Until there is a line on standard input, or its end. Unbuffered, for the loop looks there too.
void await_line();

class Load {
 public:
  explicit Load(Settings settings) : run_(std::move(settings)) {}

  // All clients, some at a time. Ends the program if they are not there within a minute.
  void connect();
  // Until its seconds are over, or there is a line, or an end, on standard input; and until all that was begun is done,
  // ten seconds more at most.
  void run();
  std::string json();

 private:
  void turn(Time due);
  void hand_out(Time now);
  bool busy() const;

  Run run_;
  std::vector<std::unique_ptr<Client>> clients_;
  Time next_due_{};
  double seconds_ = 0;
  bool told_ = false;
};

}  // namespace foreshadow::bench::pg
