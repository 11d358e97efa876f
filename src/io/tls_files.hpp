// Certificates, keys and authorities as files, each error with the file's name and the mend. The same code answers
// `validate` and loads what is served, so that what passed the one passes the other. Never keeps or tells a key's text.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"

struct evp_pkey_st;
struct x509_st;

namespace foreshadow::io {

struct Certificate {
  // Leaf first; shared, because contexts and the caller refer to the same.
  std::vector<std::shared_ptr<x509_st>> chain;
  // Server names it is good for, in lower case, wildcards as "*.example.com".
  std::vector<std::string> names;
  // Why no client will take it just now ("expired on ..."); empty: nothing known.
  std::string warning;
};

// Errors of all: unreachable (no such file), io (not readable), invalid (what is wrong with the content).
Result<Certificate> read_certificate(const std::string& file);
Result<std::shared_ptr<evp_pkey_st>> read_private_key(const std::string& file);
// At least one certificate. An empty file name: the system's store.
Result<std::vector<std::shared_ptr<x509_st>>> read_authorities(const std::string& file);

// Result: invalid when the key is not the certificate's.
Result<void> check_key_fits(const Certificate& certificate, const std::shared_ptr<evp_pkey_st>& key,
                            const std::string& key_file);

// The newest reason on this thread's OpenSSL queue, and clears the queue.
std::string take_tls_reason();

}  // namespace foreshadow::io
