#include "io/tls_stream.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/assert.hpp"
#include "io/tls_files.hpp"
#include "io/wait.hpp"

namespace foreshadow::io {

namespace {
constexpr int kBudget = 32 << 10;
constexpr std::size_t kRecord = SSL3_RT_MAX_PLAIN_LENGTH;
}  // namespace

// OpenSSL's own socket BIO would raise SIGPIPE and know no budget.
int TlsStream::receive(BIO* bio, char* into, int size) {
  auto& self = *static_cast<TlsStream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (self.budget_ <= 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  for (;;) {
    const auto n = ::recv(self.fd_, into, static_cast<std::size_t>(size), 0);
    if (n > 0) self.budget_ -= static_cast<int>(n);
    self.took_all_ = n > 0 && n < size;
    if (n == 0) self.end_seen_ = true;
    if (n >= 0) return static_cast<int>(n);
    if (errno == EINTR) continue;
    self.found_none_ = errno == EAGAIN || errno == EWOULDBLOCK;
    if (self.found_none_)
      BIO_set_retry_read(bio);
    else
      self.errno_ = errno;
    return -1;
  }
}

int TlsStream::send(BIO* bio, const char* from, int size) {
  auto& self = *static_cast<TlsStream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  for (;;) {
    const auto n = ::send(self.fd_, from, static_cast<std::size_t>(size), MSG_NOSIGNAL | (self.more_ ? MSG_MORE : 0));
    if (n >= 0) return static_cast<int>(n);
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
      BIO_set_retry_write(bio);
    else
      self.errno_ = errno;
    return -1;
  }
}

long TlsStream::control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) return static_cast<TlsStream*>(BIO_get_data(bio))->end_seen_ ? 1 : 0;
  return 0;
}

BIO_METHOD* TlsStream::method() {
  // Made once and kept to the end of the process, as OpenSSL keeps its own.
  static BIO_METHOD* const made = [] {
    auto* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "foreshadow stream");
    FS_ASSERT(method != nullptr);
    BIO_meth_set_read(method, receive);
    BIO_meth_set_write(method, send);
    BIO_meth_set_ctrl(method, control);
    return method;
  }();
  return made;
}

void TlsStream::Free::operator()(ssl_st* ssl) const { SSL_free(ssl); }

TlsStream::TlsStream(ssl_st* ssl, std::shared_ptr<const void> owner) : owner_(std::move(owner)), ssl_(ssl) {
  auto* bio = BIO_new(method());
  FS_ASSERT(ssl != nullptr && bio != nullptr);
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
}

TlsStream::~TlsStream() = default;

template <class Call>
TlsStream::Step TlsStream::run(int fd, Call call) {
  if (broken_) return Step::failed;
  fd_ = fd;
  budget_ = kBudget;
  errno_ = 0;
  found_none_ = took_all_ = more_ = false;
  // The queue is the thread's: another connection's error must not be taken for this one's.
  ERR_clear_error();
  const int result = call();
  return result > 0 ? Step::done : explain(result);
}

template <class Call>
TlsStream::Step TlsStream::read_step(int fd, Call call) {
  const auto step = run(fd, call);
  owes_ = step != Step::done && step != Step::want_read;
  return step;
}

TlsStream::Step TlsStream::explain(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return Step::want_read;
    case SSL_ERROR_WANT_WRITE:
      return Step::want_write;
    case SSL_ERROR_ZERO_RETURN:
      return Step::closed;
    default:
      break;
  }
  broken_ = true;
  const auto code = ERR_peek_last_error();
  const int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
  if (errno_ != 0) {
    why_ = errno_text("connection", errno_);
    ERR_clear_error();
    return errno_ == ECONNRESET || errno_ == EPIPE ? Step::truncated : Step::failed;
  }
  if (end_seen_ && (code == 0 || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)) {
    why_ = "the connection ended without a close_notify";
    ERR_clear_error();
    return Step::truncated;
  }
  was_http_ = reason == SSL_R_HTTP_REQUEST;
  why_ = take_tls_reason();
  const auto verified = SSL_get_verify_result(ssl_.get());
  if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK)
    why_ += std::string(": ") + X509_verify_cert_error_string(verified);
  return Step::failed;
}

TlsStream::Step TlsStream::handshake(int fd) {
  const auto step = run(fd, [&] { return SSL_do_handshake(ssl_.get()); });
  if (step == Step::done) established_ = true;
  return step;
}

TlsStream::Step TlsStream::read(int fd, char* into, std::size_t size, std::size_t& count) {
  count = 0;
  return read_step(fd, [&] { return SSL_read_ex(ssl_.get(), into, size, &count); });
}

TlsStream::Step TlsStream::peek(int fd) {
  char byte = 0;
  std::size_t count = 0;
  return read_step(fd, [&] { return SSL_peek_ex(ssl_.get(), &byte, 1, &count); });
}

TlsStream::Step TlsStream::write(int fd, const std::array<std::string_view, 3>& parts, std::size_t skip,
                                 std::size_t& count) {
  count = 0;
  std::array<std::string_view, 3> left = parts;
  for (auto& part : left) {
    const auto passed = std::min(skip, part.size());
    part.remove_prefix(passed);
    skip -= passed;
  }
  const auto* first = std::find_if(left.begin(), left.end(), [](auto part) { return !part.empty(); });
  if (first == left.end()) return Step::done;
  std::string_view record = first->substr(0, kRecord);
  // A head, a chunk's length and what follows make one record and one system call. OpenSSL has its own copy of a record
  // that could not be sent at once, and only compares the length when it is offered again.
  std::array<char, kRecord> together;
  if (record.size() < kRecord && first + 1 != left.end()) {
    std::size_t filled = 0;
    for (const auto* part = first; part != left.end(); ++part)
      filled += part->copy(together.data() + filled, kRecord - filled);
    record = {together.data(), filled};
  }
  std::size_t total = 0;
  for (const auto& part : left) total += part.size();
  return run(fd, [&] {
    more_ = total > record.size();
    return SSL_write_ex(ssl_.get(), record.data(), record.size(), &count);
  });
}

TlsStream::Step TlsStream::end(int fd) {
  if (!established_) return Step::failed;
  // 0: ours is sent, and the peer's is not here yet.
  return run(fd, [&] {
    const int result = SSL_shutdown(ssl_.get());
    return result == 0 ? 1 : result;
  });
}

bool TlsStream::pending() const { return SSL_has_pending(ssl_.get()) == 1; }

std::string_view TlsStream::alpn() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

bool TlsStream::is_client() const { return SSL_is_server(ssl_.get()) == 0; }

std::string TlsStream::peer_common_name() const {
  const auto* const certificate = SSL_get0_peer_certificate(ssl_.get());
  if (certificate == nullptr) return {};
  const auto* const subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) return {};
  unsigned char* text = nullptr;
  const int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  if (size < 0) {
    ERR_clear_error();
    return {};
  }
  std::string name(reinterpret_cast<const char*>(text), static_cast<std::size_t>(size));
  OPENSSL_free(text);
  if (name.find('\0') != std::string::npos) name.clear();
  return name;
}

bool TlsStream::resumed() const { return SSL_session_reused(ssl_.get()) == 1; }

}  // namespace foreshadow::io
