// A gateway whose listener speaks TLS, and files that can be changed under it.
#pragma once

#include "kinds/http/rig.hpp"
#include "kinds/http/tls_end.hpp"

namespace foreshadow::kinds::http::testing {

using foreshadow::testing::write;

struct TlsRig : Rig {
  Authority authority;
  Authority stranger{"A stranger"};
  Issued shop = authority.issue({"shop.test", "127.0.0.1"});

  io::CertificateFiles save(const std::string& name, const Issued& issued) {
    io::CertificateFiles files{dir / (name + ".pem"), dir / (name + ".key")};
    write(files.key_file, issued.key);
    write(files.certificate_file, issued.certificate);
    return files;
  }
  std::string save(const std::string& name, const Authority& ca) {
    write(dir / name, ca.pem());
    return dir / name;
  }
  void serve_tls() {
    listener().tls.certificates = {save("shop", shop)};
    listener().tls_check_interval = Millis{20};
  }
  TlsWish client(const std::string& name = "shop.test") const {
    TlsWish wish;
    wish.trusts = &authority;
    wish.server_name = name;
    return wish;
  }
};

inline const std::string kGet = "GET /x HTTP/1.1\r\nHost: shop\r\n\r\n";
inline const std::string kGetClose = "GET /x HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n";

}  // namespace foreshadow::kinds::http::testing
