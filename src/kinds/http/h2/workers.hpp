// The coroutines that serve one HTTP/2 connection's requests, each one at a time. A worker whose request is over sleeps
// until the next one comes: to begin a coroutine, and to be told of its end, costs as much as a small request does.
//
// There are as many as requests were ever at work at once, and no more than two seconds longer than they are needed.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <list>
#include <vector>

#include "kinds/http/h2/exchange.hpp"
#include "kinds/http/h2/link.hpp"

namespace foreshadow::kinds::http::h2 {

// On one executor without parallelism, which is not left while any is there: see ended().
class Workers {
 public:
  class Told {
   public:
    // A request is over, and nothing of it is left.
    virtual void request_over() = 0;
    // The last worker has ended.
    virtual void all_ended() = 0;

   protected:
    ~Told() = default;
  };
  // Both outlive it.
  Workers(Link& link, const boost::asio::any_io_executor& executor, Told& told);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // Serves it, at once as far as that can be done without waiting. `stream`: fresh from the mux; given back to it.
  // Requires: not dismissed.
  void serve(Stream& stream);
  // Requests that are not over.
  std::size_t busy() const { return busy_; }
  // Each ends after its request.
  void dismiss();
  bool ended() const { return workers_.empty(); }

 private:
  struct Worker;
  awaitable<void> work(Worker& me);
  // Lets those go that nobody needed since the last time.
  void tidy();
  void let_go(std::size_t count);

  Link& link_;
  boost::asio::any_io_executor executor_;
  Told& told_;
  std::list<Worker> workers_;
  std::vector<Worker*> idle_;  // who slept last is woken first
  std::size_t unneeded_ = 0;   // of the idle, since the last tidy()
  std::size_t busy_ = 0;
  bool dismissed_ = false;
  bool tidying_ = false;
  Watch tidy_;
};

}  // namespace foreshadow::kinds::http::h2
