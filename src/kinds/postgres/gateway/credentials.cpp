#include "kinds/postgres/gateway/credentials.hpp"

#include <sys/stat.h>

#include <array>
#include <fstream>
#include <iterator>

namespace foreshadow::kinds::pg_gateway {
namespace {

constexpr std::size_t file_bytes_max = 1 << 20;

// Splits "a:b:c:d:e" at unescaped colons and takes the escapes away; the last field keeps its colons' escapes resolved
// too.
std::optional<std::array<std::string, 5>> fields_of(std::string_view line) {
  std::array<std::string, 5> fields;
  std::size_t field = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\\' && i + 1 < line.size()) {
      fields[field] += line[++i];
    } else if (line[i] == ':' && field < 4) {
      ++field;
    } else {
      fields[field] += line[i];
    }
  }
  if (field != 4) return std::nullopt;
  return fields;
}

bool matches(std::string_view pattern, std::string_view value) { return pattern == "*" || pattern == value; }

}  // namespace

std::optional<std::string> find_password(std::string_view file, const Endpoint& endpoint, std::string_view database,
                                         std::string_view user) {
  // libpq calls every Unix socket "localhost" here; the directory itself is accepted as well.
  const bool local = !endpoint.host.empty() && endpoint.host[0] == '/';
  while (!file.empty()) {
    const auto end = file.find('\n');
    auto line = file.substr(0, end);
    file = end == std::string_view::npos ? std::string_view{} : file.substr(end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty() || line[0] == '#') continue;
    const auto f = fields_of(line);
    if (!f) continue;
    const auto& [host, port, db, name, password] = *f;
    if ((matches(host, endpoint.host) || (local && host == "localhost")) &&
        matches(port, std::to_string(endpoint.port)) && matches(db, database) && matches(name, user))
      return password;
  }
  return std::nullopt;
}

Result<std::string> Credentials::password(const Endpoint& endpoint, std::string_view database,
                                          std::string_view user) const {
  if (path_.empty()) return fail(Code::refused, "server asks for a password: set password_file");
  struct stat info{};
  if (stat(path_.c_str(), &info) != 0) return fail(Code::io, "password_file " + path_ + " cannot be read");
  if (info.st_mode & (S_IRWXG | S_IRWXO))
    return fail(Code::refused, "password_file " + path_ + " may be read by others: chmod 0600");
  if (static_cast<std::size_t>(info.st_size) > file_bytes_max)
    return fail(Code::invalid, "password_file is larger than 1 MiB");
  std::ifstream in(path_, std::ios::binary);
  if (!in) return fail(Code::io, "password_file " + path_ + " cannot be read");
  const std::string file{std::istreambuf_iterator<char>(in), {}};
  auto found = find_password(file, endpoint, database, user);
  if (!found)
    return fail(Code::refused, "server asks for a password: password_file has no line for user " + std::string(user) +
                                   ", database " + std::string(database) + " at " + endpoint.text());
  return *std::move(found);
}

}  // namespace foreshadow::kinds::pg_gateway
