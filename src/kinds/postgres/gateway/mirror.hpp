// Copies of read statements for the shadow: run on connections of their own, compared by success and row count, thrown
// away. The client's own session never waits for any of it: a full queue drops the copy.
//
// Never reaches a server that is not a standby: each connection is opened read-only (default_transaction_read_only=on
// comes last in its options, so no client option can undo it), and is closed as soon as the server does not say that it
// is in recovery. None of our own statements runs here, so a client's search_path or options have nothing to steer.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "kinds/postgres/gateway/backend.hpp"
#include "kinds/postgres/gateway/link.hpp"
#include "proxy/gate.hpp"

namespace foreshadow::kinds::pg_gateway {

struct MirrorJob {
  proxy::Gate* gate = nullptr;  // outlives the protocol, and so the pool
  std::size_t segment = 0;
  std::shared_ptr<const Instance> target;
  std::string bytes;  // one Query, or Parse .. Sync on the unnamed statement
  std::string tag;    // what the primary answered: "SELECT 3"
};

class MirrorPool : public std::enable_shared_from_this<MirrorPool> {
 public:
  MirrorPool(std::shared_ptr<Dialer> dialer, const Credentials& credentials);
  // `like`: the session's startup, so that the copy sees the same database, user and options.
  void submit(MirrorJob job, const Startup& like);
  // Ends every connection; nothing is reported any more.
  void stop();

 private:
  // Connections that are interchangeable: same server, same startup.
  struct Lane {
    Startup startup;
    std::deque<MirrorJob> jobs;
    int workers = 0;
    Bell bell;
    explicit Lane(const boost::asio::any_io_executor& executor) : bell(executor) {}
  };
  boost::asio::awaitable<void> work(std::shared_ptr<Lane> lane, std::string key);
  boost::asio::awaitable<proxy::MirrorResult> run(Backend& backend, const MirrorJob& job);
  void report(const MirrorJob& job, const proxy::MirrorResult& result);

  const std::shared_ptr<Dialer> dialer_;
  const boost::asio::any_io_executor executor_;
  const Credentials& credentials_;
  // Shared with their workers, which may still be unwinding when a lane is given up.
  std::map<std::string, std::shared_ptr<Lane>> lanes_;
  std::map<const Backend*, std::weak_ptr<Backend>> open_;
  std::size_t queued_ = 0;
  bool stopped_ = false;
};

}  // namespace foreshadow::kinds::pg_gateway
