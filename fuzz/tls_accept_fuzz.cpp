// Whoever reaches a port that speaks TLS, up to the end of the handshake and the first bytes after it. The first byte
// of the input chooses between two visitors:
//   bytes     the rest of the input is what the client sends, cut as the second byte says;
//   meddling  a client of OpenSSL's with a server name and a list of protocols from the input, and somebody on the way
//             who changes some of the bytes that it sends.
// Besides not crashing: the handshake ends or says why in plain text that holds nothing of the peer's, what was agreed
// upon is one of our protocols, nobody meddles unnoticed, and a connection that failed stays so. OpenSSL itself is not
// instrumented; what coverage guides is our callbacks and the states of a stream.
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "../tests/support/certificates.hpp"
#include "../tests/support/temp_dir.hpp"
#include "io/tls_context.hpp"

namespace {

using foreshadow::io::ClientCertificates;
using foreshadow::io::TlsServer;
using foreshadow::io::TlsStream;
using Step = TlsStream::Step;

void require(bool condition) {
  if (!condition) std::abort();
}

// One that asks nobody who he is, one that asks, and one that lets nobody in who does not say.
struct Servers {
  std::array<std::shared_ptr<const TlsServer>, 3> all;
  Servers() {
    const foreshadow::testing::TempDir dir;
    const foreshadow::testing::Authority authority;
    foreshadow::testing::write(dir / "ca", authority.pem());
    foreshadow::io::TlsServerSettings settings{.client_ca_file = dir / "ca", .alpn = {"h2", "http/1.1"}};
    for (const std::string name : {"shop.test", "*.shop.test", "a.b"}) {
      const auto issued = authority.issue({name, "also-" + name});
      settings.certificates.push_back({dir / name, dir / (name + ".key")});
      foreshadow::testing::write(dir / name, issued.certificate);
      foreshadow::testing::write(dir / (name + ".key"), issued.key);
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      settings.client_certificates = static_cast<ClientCertificates>(i);
      auto made = TlsServer::load(settings);
      require(made.has_value());
      all[i] = *made;
    }
  }
};

class Pipe {
 public:
  Pipe() { require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends_) == 0); }
  ~Pipe() {
    close(ends_[0]);
    if (ends_[1] >= 0) close(ends_[1]);
  }
  int ours() const { return ends_[0]; }
  // False: no room, or we hung up.
  bool send(std::string_view bytes) const {
    return bytes.empty() || ::send(ends_[1], bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0;
  }
  std::string receive() const {
    std::array<char, 16 << 10> buffer;
    const auto n = recv(ends_[1], buffer.data(), buffer.size(), 0);
    return n > 0 ? std::string(buffer.data(), static_cast<std::size_t>(n)) : std::string();
  }
  void hang_up() {
    close(ends_[1]);
    ends_[1] = -1;
  }

 private:
  int ends_[2] = {-1, -1};
};

// The server's side: a step whenever something may have come.
class Server {
 public:
  Server(const TlsServer& tls, int fd) : stream_(tls.accept()), fd_(fd) {}
  void work() {
    if (step_ != Step::want_read && step_ != Step::want_write) return;
    step_ = stream_->established() ? read() : stream_->handshake(fd_);
    if (step_ == Step::done) {
      require(stream_->established() && !stream_->broken());
      require(stream_->alpn().empty() || stream_->alpn() == "h2" || stream_->alpn() == "http/1.1");
      step_ = Step::want_read;
    }
    if (step_ == Step::failed || step_ == Step::truncated) {
      require(stream_->broken() && !stream_->why().empty() && stream_->why().size() < 300);
      for (const char c : stream_->why()) require(c >= 0x20 && c < 0x7f);
      require(stream_->handshake(fd_) == Step::failed);
    }
  }
  const TlsStream& stream() const { return *stream_; }
  const std::string& heard() const { return heard_; }
  Step step() const { return step_; }

 private:
  Step read() {
    std::array<char, 512> into;
    std::size_t count = 0;
    const auto step = stream_->read(fd_, into.data(), into.size(), count);
    require((step == Step::done) == (count > 0) && count <= into.size());
    heard_.append(into.data(), count);
    return step;
  }
  std::unique_ptr<TlsStream> stream_;
  int fd_;
  Step step_ = Step::want_read;
  std::string heard_;
};

void bytes_of_a_stranger(const TlsServer& tls, std::string_view bytes, std::size_t step) {
  Pipe pipe;
  Server server(tls, pipe.ours());
  while (!bytes.empty()) {
    if (!pipe.send(bytes.substr(0, step))) break;
    bytes.remove_prefix(std::min(step, bytes.size()));
    server.work();
    pipe.receive();
  }
  // Whoever has said no secret is let in by nobody.
  require(server.heard().empty());
  pipe.hang_up();
  for (int i = 0; i < 8; ++i) server.work();
  require(server.step() != Step::want_read && server.step() != Step::want_write);
}

struct Client {
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl{SSL_new(context()), SSL_free};
  BIO* in = BIO_new(BIO_s_mem());
  BIO* out = BIO_new(BIO_s_mem());
  Client() {
    SSL_set_bio(ssl.get(), in, out);
    SSL_set_connect_state(ssl.get());
  }
  // Shared by all, for it takes longer to make than a handshake.
  static SSL_CTX* context() {
    static const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> made{SSL_CTX_new(TLS_client_method()), SSL_CTX_free};
    return made.get();
  }
  std::string sent() const {
    char* text = nullptr;
    const auto size = BIO_get_mem_data(out, &text);
    std::string bytes(text, static_cast<std::size_t>(size));
    BIO_reset(out);
    return bytes;
  }
};

void meddling(const TlsServer& tls, std::string_view input, bool old) {
  const auto take = [&](std::size_t size) {
    const auto part = input.substr(0, size);
    input.remove_prefix(part.size());
    return part;
  };
  const auto number = [&] {
    const auto byte = take(1);
    return byte.empty() ? std::size_t{0} : static_cast<unsigned char>(byte[0]);
  };
  Client client;
  if (old) SSL_set_max_proto_version(client.ssl.get(), TLS1_2_VERSION);
  const std::string name(take(number()));
  const auto protocols = take(number());
  if (!name.empty()) SSL_set_tlsext_host_name(client.ssl.get(), name.c_str());
  // Malformed lists are refused by OpenSSL's client; then none is offered.
  SSL_set_alpn_protos(client.ssl.get(), reinterpret_cast<const unsigned char*>(protocols.data()),
                      static_cast<unsigned>(protocols.size()));
  Pipe pipe;
  Server server(tls, pipe.ours());
  const std::string said = "GET / HTTP/1.1\r\n\r\n";
  bool meddled = false, told = false;
  for (int turn = 0; turn < 12; ++turn) {
    ERR_clear_error();
    const int shaken = SSL_do_handshake(client.ssl.get());
    if (shaken == 1 && !told) told = SSL_write(client.ssl.get(), said.data(), static_cast<int>(said.size())) > 0;
    auto flight = client.sent();
    // One change a flight, where the input says so; what it xors with 0 stays.
    if (const auto place = number() << 8 | number(), change = number(); !flight.empty() && change != 0) {
      flight[place % flight.size()] ^= static_cast<char>(change);
      meddled = true;
    }
    if (!pipe.send(flight)) break;
    server.work();
    server.work();
    for (auto answer = pipe.receive(); !answer.empty(); answer = pipe.receive())
      BIO_write(client.in, answer.data(), static_cast<int>(answer.size()));
  }
  ERR_clear_error();
  require(std::string_view(said).starts_with(server.heard()));
  if (meddled) return;
  // An honest client is let in, unless it offers nothing that we speak or shows no certificate where it must.
  const bool refused = server.step() == Step::failed;
  require(refused || server.heard() == said || !told);
  if (!server.heard().empty()) {
    const unsigned char* agreed = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(client.ssl.get(), &agreed, &size);
    require(server.stream().alpn() == std::string_view(reinterpret_cast<const char*>(agreed), size));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Servers servers;
  if (size < 2) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data + 2), size - 2);
  const auto& server = *servers.all[(data[0] >> 2) % servers.all.size()];
  if (data[0] & 1)
    meddling(server, input, (data[0] & 2) != 0);
  else
    bytes_of_a_stranger(server, input, 1 + data[1] * std::size_t{8});
  return 0;
}
