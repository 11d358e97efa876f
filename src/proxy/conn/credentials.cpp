#include "proxy/conn/credentials.hpp"

#include <boost/asio/post.hpp>

#include "base/log.hpp"

namespace foreshadow::proxy {

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

Result<std::shared_ptr<io::TlsClient>> Credentials::read_client(const CredentialSettings& settings) {
  if (!settings.client) return nullptr;
  return io::TlsClient::load(*settings.client);
}

Result<Credentials::Loaded> Credentials::read(const CredentialSettings& settings) {
  Loaded loaded;
  if (settings.server) {
    FS_TRY(server, io::TlsServer::load(*settings.server));
    loaded.server = std::move(server);
  }
  FS_TRY(client, read_client(settings));
  loaded.client = std::move(client);
  return loaded;
}

// All or nothing: no two threads show clients different certificates for longer than it takes to tell them.
Result<void> Credentials::read_anew(Source& source) {
  const std::lock_guard lock(source.mutex);
  const auto& readers = source.readers;
  FS_TRY(first, read(source.settings));
  std::vector<Loaded> fresh{first};
  while (fresh.size() < readers.size()) {
    FS_TRY(client, read_client(source.settings));
    fresh.push_back({first.server, std::move(client)});
  }
  source.server = first.server;
  for (std::size_t i = 0; i < readers.size(); ++i)
    boost::asio::post(readers[i].executor, [weak = readers[i].credentials, loaded = std::move(fresh[i])]() mutable {
      if (const auto self = weak.lock()) self->now_ = std::move(loaded);
    });
  return {};
}

Result<std::shared_ptr<Credentials>> Credentials::load(CredentialSettings settings,
                                                       boost::asio::any_io_executor executor) {
  auto made = std::make_shared<Credentials>();
  made->source_ = std::make_shared<Source>();
  auto& source = *made->source_;
  source.settings = std::move(settings);
  source.readers.push_back({std::move(executor), made});
  // The watch first: a file that changes while it is read is then read again.
  if (auto files = files_of(source.settings); !files.empty()) {
    // The watch ends with the source, so it cannot keep it.
    auto reload = [&source, told = std::string()]() mutable {
      if (const auto fresh = read_anew(source); !fresh) {
        if (told != fresh.error().what)
          log::error("{}: {}; the certificates and keys in use stay", source.settings.resource, fresh.error().what);
        told = fresh.error().what;
        return false;
      }
      told.clear();
      log::info("{}: certificates and keys were read anew", source.settings.resource);
      return true;
    };
    source.watch = std::make_unique<io::FileWatch>(std::move(files), source.settings.check_interval, std::move(reload));
  }
  FS_TRY(loaded, read(source.settings));
  const std::lock_guard lock(source.mutex);
  if (!source.server) source.server = loaded.server;
  made->now_ = std::move(loaded);
  return made;
}

Result<std::shared_ptr<Credentials>> Credentials::another(boost::asio::any_io_executor executor) const {
  auto made = std::make_shared<Credentials>();
  made->source_ = source_;
  const std::lock_guard lock(source_->mutex);
  FS_TRY(client, read_client(source_->settings));
  made->now_ = {source_->server, std::move(client)};
  source_->readers.push_back({std::move(executor), made});
  return made;
}

void Credentials::stop_watching() { source_->watch.reset(); }

}  // namespace foreshadow::proxy
