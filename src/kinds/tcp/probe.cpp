#include "kinds/tcp/probe.hpp"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "io/resolve.hpp"
#include "io/socket.hpp"

namespace foreshadow::kinds::tcp {
namespace {

using Steady = std::chrono::steady_clock;

// Each address gets its share of what is left, so that a dead IPv6 path leaves time for IPv4.
Result<io::Fd> connect_any(const std::vector<io::Address>& addresses, const io::Deadline& deadline,
                           const io::StopEvent& stop, const std::string& what) {
  Result<io::Fd> last = fail(Code::unreachable, what + ": no address");
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const io::Deadline share(deadline.left() / static_cast<Millis::rep>(addresses.size() - i));
    last = io::connect_tcp(&addresses[i].bytes, addresses[i].length, share, stop, what);
    if (last || last.error().code == Code::cancelled) return last;
  }
  return last;
}

Result<void> expect(int fd, const std::string& wanted, const io::Deadline& deadline, const io::StopEvent& stop,
                    const std::string& what) {
  std::string said;
  while (said.size() < wanted.size()) {
    FS_TRY(count, io::receive_some(fd, said, deadline, stop, what));
    if (count == 0) return fail(Code::unreachable, what + ": closed the connection before it had answered");
  }
  if (said.starts_with(wanted)) return {};
  return fail(Code::refused, what + ": does not answer with what probe_expect says");
}

class ProbeSource final : public observe::Source {
 public:
  ProbeSource(Instance instance, TcpOptions options) : instance_(std::move(instance)), options_(std::move(options)) {}

  std::string name() const override { return "tcp_probe:" + instance_.id; }
  Result<std::vector<observe::Reading>> scrape(std::stop_token stop) override {
    const auto took = probe(instance_, options_, stop);
    if (took)
      return std::vector<observe::Reading>{{instance_.id, "probe_up", 1.0},
                                           {instance_.id, "probe_duration_seconds", to_seconds(*took)}};
    // What we cut off ourselves, or could not even try, says nothing of the instance.
    const auto code = took.error().code;
    if (stop.stop_requested() || code == Code::cancelled || code == Code::io) return tl::make_unexpected(took.error());
    return std::vector<observe::Reading>{{instance_.id, "probe_up", 0.0}};
  }

 private:
  Instance instance_;
  TcpOptions options_;
};

}  // namespace

Result<Millis> probe(const Instance& instance, const TcpOptions& options, std::stop_token stop) {
  const auto began = Steady::now();
  const io::Deadline deadline(options.probe_timeout);
  const io::StopEvent stopped(std::move(stop));
  const auto what = fmt::format("{} at {}", instance.id, instance.endpoint.text());
  FS_TRY(addresses, io::resolve(instance.endpoint.host, instance.endpoint.port, deadline, stopped));
  FS_TRY(fd, connect_any(addresses, deadline, stopped, what));
  if (!options.probe_send.empty()) FS_CHECK(io::send_all(fd.get(), options.probe_send, deadline, stopped, what));
  if (!options.probe_expect.empty()) FS_CHECK(expect(fd.get(), options.probe_expect, deadline, stopped, what));
  return std::chrono::duration_cast<Millis>(Steady::now() - began);
}

std::unique_ptr<observe::Source> probe_source(Instance instance, TcpOptions options) {
  return std::make_unique<ProbeSource>(std::move(instance), std::move(options));
}

}  // namespace foreshadow::kinds::tcp
