#include "io/rpc.hpp"

#include <nlohmann/json.hpp>

#include "io/rpc_line.hpp"
#include "io/socket.hpp"

namespace foreshadow::io {

Result<nlohmann::json> rpc_call(const std::string& socket_path, const nlohmann::json& request, Millis timeout,
                                std::stop_token stop) {
  const Deadline deadline(timeout);
  const StopEvent stopped(std::move(stop));
  FS_TRY(line, write_rpc_line(request));
  FS_TRY(fd, connect_unix(socket_path, deadline, stopped));
  if (auto sent = send_all(fd.get(), line, deadline, stopped, socket_path); !sent) {
    // The newline never left, so the other side cannot have begun.
    if (sent.error().code == Code::timeout)
      return fail(Code::unreachable, socket_path + ": did not take the request in time; nothing was done");
    return tl::make_unexpected(sent.error());
  }
  std::string answer;
  std::size_t end = 0;
  while ((end = answer.find('\n', end)) == std::string::npos) {
    end = answer.size();
    if (answer.size() > kRpcLineMax) return fail(Code::invalid, socket_path + ": the answer is longer than allowed");
    auto received = receive_some(fd.get(), answer, deadline, stopped, socket_path);
    if (!received && received.error().code == Code::cancelled) return tl::make_unexpected(received.error());
    // Whoever took the request and then died may have done it: that is what `timeout` says, and unreachable denies.
    if (!received || *received == 0)
      return fail(Code::timeout, (received ? socket_path + ": closed" : received.error().what) +
                                     " before an answer came; what was asked may have been done");
  }
  auto value = parse_rpc_answer(std::string_view(answer).substr(0, end));
  return value;
}

}  // namespace foreshadow::io
