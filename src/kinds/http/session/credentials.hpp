// The certificates and keys a listener works with, both towards clients and towards instances, as they are now. Files
// that change are read anew on a thread of their own, and only what was read whole and found good takes the place of
// what was; connections go on with what they began with.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "base/time.hpp"
#include "io/file_watch.hpp"
#include "io/tls_context.hpp"

namespace foreshadow::kinds::http {

struct CredentialSettings {
  std::string resource;                         // named in the log
  std::optional<io::TlsServerSettings> server;  // nothing: clients come in the plain
  std::optional<io::TlsClientSettings> client;  // nothing: instances are spoken to in the plain
  Millis check_interval{2000};
};

// Used on the executor's thread only.
class Credentials : public std::enable_shared_from_this<Credentials> {
 public:
  // Errors as io/tls_files.
  static Result<std::shared_ptr<Credentials>> load(CredentialSettings settings, boost::asio::any_io_executor executor);

  // Null: plain.
  const std::shared_ptr<const io::TlsServer>& server() const { return now_.server; }
  const std::shared_ptr<io::TlsClient>& client() const { return now_.client; }

 private:
  struct Loaded {
    std::shared_ptr<const io::TlsServer> server;
    std::shared_ptr<io::TlsClient> client;
  };
  static Result<Loaded> read(const CredentialSettings& settings);
  void watch(const CredentialSettings& settings, boost::asio::any_io_executor executor);

  Loaded now_;
  std::unique_ptr<io::FileWatch> watch_;
};

}  // namespace foreshadow::kinds::http
