#include "kinds/http/session/credentials.hpp"

#include <boost/asio/post.hpp>

#include "base/log.hpp"

namespace foreshadow::kinds::http {

namespace {

std::vector<std::string> files_of(const CredentialSettings& settings) {
  std::vector<std::string> files;
  const auto add = [&](const std::string& file) {
    if (!file.empty()) files.push_back(file);
  };
  if (settings.server) {
    for (const auto& pair : settings.server->certificates) {
      add(pair.certificate_file);
      add(pair.key_file);
    }
    add(settings.server->client_ca_file);
  }
  if (settings.client) {
    add(settings.client->ca_file);
    add(settings.client->certificate.certificate_file);
    add(settings.client->certificate.key_file);
  }
  return files;
}

}  // namespace

Result<Credentials::Loaded> Credentials::read(const CredentialSettings& settings) {
  Loaded loaded;
  if (settings.server) {
    FS_TRY(server, io::TlsServer::load(*settings.server));
    loaded.server = std::move(server);
  }
  if (settings.client) {
    FS_TRY(client, io::TlsClient::load(*settings.client));
    loaded.client = std::move(client);
  }
  return loaded;
}

Result<std::shared_ptr<Credentials>> Credentials::load(CredentialSettings settings,
                                                       boost::asio::any_io_executor executor) {
  auto made = std::make_shared<Credentials>();
  // The watch first: a file that changes while it is read is then read again.
  made->watch(settings, std::move(executor));
  FS_TRY(loaded, read(settings));
  made->now_ = std::move(loaded);
  return made;
}

void Credentials::watch(const CredentialSettings& settings, boost::asio::any_io_executor executor) {
  auto files = files_of(settings);
  if (files.empty()) return;
  // The watch ends with us, so it cannot keep us; what it loaded goes over to the executor's thread.
  auto reload = [settings, executor, weak = weak_from_this(), told = std::string()]() mutable {
    auto fresh = read(settings);
    if (!fresh) {
      if (told != fresh.error().what)
        log::error("{}: {}; the certificates and keys in use stay", settings.resource, fresh.error().what);
      told = fresh.error().what;
      return false;
    }
    told.clear();
    log::info("{}: certificates and keys were read anew", settings.resource);
    boost::asio::post(executor, [weak, fresh = std::move(*fresh)]() mutable {
      if (const auto self = weak.lock()) self->now_ = std::move(fresh);
    });
    return true;
  };
  watch_ = std::make_unique<io::FileWatch>(std::move(files), settings.check_interval, std::move(reload));
}

}  // namespace foreshadow::kinds::http
