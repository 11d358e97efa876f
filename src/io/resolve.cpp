#include "io/resolve.hpp"

#include <fcntl.h>
#include <netdb.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>

namespace foreshadow::io {
namespace {

// Lookups that hang (a resolver that is gone) keep their thread until libc gives up; more than this are not started.
constexpr int kLookupsMax = 16;

Result<std::vector<Address>> look_up(const std::string& host, unsigned short port, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) return fail(Code::unreachable, host + ": " + ::gai_strerror(error));
  std::vector<Address> addresses;
  for (const addrinfo* i = found; i; i = i->ai_next) {
    Address address;
    std::memcpy(&address.bytes, i->ai_addr, i->ai_addrlen);
    address.length = i->ai_addrlen;
    addresses.push_back(address);
  }
  ::freeaddrinfo(found);
  return addresses;
}

// Shared by the caller and its lookup, because the lookup may outlive the call.
struct Lookup {
  Fd done_read, done_write;
  std::mutex mutex;
  Result<std::vector<Address>> answer = fail(Code::timeout, "not looked up");
};

std::atomic<int> lookups{0};

}  // namespace

Result<std::vector<Address>> resolve(const std::string& host, unsigned short port, const Deadline& deadline,
                                     const StopEvent& stop) {
  if (auto literal = look_up(host, port, AI_NUMERICHOST)) return literal;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail(Code::io, errno_text("pipe"));
  auto lookup = std::make_shared<Lookup>();
  lookup->done_read = Fd(ends[0]);
  lookup->done_write = Fd(ends[1]);
  if (lookups.fetch_add(1) >= kLookupsMax) {
    lookups.fetch_sub(1);
    return fail(Code::unreachable, host + ": name lookups hang on this host; give an address");
  }
  try {
    std::thread([lookup, host, port] {
      auto answer = look_up(host, port, 0);
      {
        const std::lock_guard lock(lookup->mutex);
        lookup->answer = std::move(answer);
      }
      lookups.fetch_sub(1);
      [[maybe_unused]] const auto written = ::write(lookup->done_write.get(), "", 1);
    }).detach();
  } catch (const std::system_error& e) {
    lookups.fetch_sub(1);
    return fail(Code::io, std::string("cannot start a thread: ") + e.what());
  }
  FS_CHECK(await(lookup->done_read.get(), POLLIN, deadline, stop, "look up " + host));
  const std::lock_guard lock(lookup->mutex);
  return std::move(lookup->answer);
}

}  // namespace foreshadow::io
