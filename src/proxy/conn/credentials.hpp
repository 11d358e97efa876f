// The certificates and keys a listener works with, both towards clients and towards instances, as they are now. Files
// that change are read anew on a thread of their own, and only what was read whole and found good takes the place of
// what was; connections go on with what they began with.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "io/file_watch.hpp"
#include "io/tls_context.hpp"

namespace foreshadow::proxy {

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
  // For another of the gateway's threads. What clients meet is one and the same object, so that a session that began at
  // one thread is resumed at any. Errors as load().
  Result<std::shared_ptr<Credentials>> another(boost::asio::any_io_executor executor) const;
  // Files are not looked at any more, by anybody who shares this. To be called before any of their loops goes.
  void stop_watching();

  // Null: plain.
  const std::shared_ptr<const io::TlsServer>& server() const { return now_.server; }
  const std::shared_ptr<io::TlsClient>& client() const { return now_.client; }

 private:
  struct Loaded {
    std::shared_ptr<const io::TlsServer> server;
    std::shared_ptr<io::TlsClient> client;  // remembers sessions, each thread its own
  };
  struct Reader {
    boost::asio::any_io_executor executor;
    std::weak_ptr<Credentials> credentials;
  };
  // What the gateway's threads share. Shared with the thread that watches, too.
  struct Source {
    CredentialSettings settings;
    std::mutex mutex;  // of what follows; held while files are read
    std::vector<Reader> readers;
    std::shared_ptr<const io::TlsServer> server;  // the newest; its readers get it a moment later
    // Not under the mutex: changed before its thread begins, and after it has ended.
    std::unique_ptr<io::FileWatch> watch;
  };
  static Result<Loaded> read(const CredentialSettings& settings);
  static Result<std::shared_ptr<io::TlsClient>> read_client(const CredentialSettings& settings);
  static Result<void> read_anew(Source& source);

  std::shared_ptr<Source> source_;
  Loaded now_;
};

}  // namespace foreshadow::proxy
