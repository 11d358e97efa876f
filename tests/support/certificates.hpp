// Certificates for tests, made when they are needed: nothing secret lies in the repository, and nothing expires there.
#pragma once

#include <memory>
#include <string>
#include <vector>

struct evp_pkey_st;
struct x509_st;

namespace foreshadow::testing {

struct Issued {
  std::string certificate;  // PEM
  std::string key;
};

// An authority of its own with a P-256 key. One that nobody was told to trust is a stranger's.
class Authority {
 public:
  explicit Authority(const std::string& name = "Test authority");
  const std::string& pem() const { return pem_; }
  // For server names and IP addresses; the first is the common name too. `valid_seconds` from now; it began an hour
  // ago.
  Issued issue(const std::vector<std::string>& names, long valid_seconds = 3600) const;

 private:
  std::shared_ptr<evp_pkey_st> key_;
  std::shared_ptr<x509_st> certificate_;
  std::string pem_;
};

void write(const std::string& path, const std::string& text);
// The key of `issued` under a passphrase.
std::string locked(const Issued& issued);

}  // namespace foreshadow::testing
