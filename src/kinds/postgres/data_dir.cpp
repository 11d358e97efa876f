#include "kinds/postgres/data_dir.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <filesystem>

#include "io/fd.hpp"
#include "io/files.hpp"
#include "io/wait.hpp"

namespace foreshadow::kinds::postgres {
namespace {

namespace fs = std::filesystem;

Result<void> sync_directory(const std::string& path) {
  const io::Fd dir(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir || ::fsync(dir.get()) != 0) return fail(Code::io, io::errno_text("sync " + path));
  return {};
}

Result<void> fill(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const auto n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(Code::io, io::errno_text("write " + path));
    content.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

// "  Name = value" -> "name"; comments and blank lines -> "".
std::string parameter_of(std::string_view line) {
  std::size_t i = 0;
  while (i < line.size() && std::isspace(static_cast<unsigned char>(line[i])) != 0) ++i;
  std::string name;
  while (i < line.size() &&
         (std::isalnum(static_cast<unsigned char>(line[i])) != 0 || line[i] == '_' || line[i] == '.'))
    name += static_cast<char>(std::tolower(static_cast<unsigned char>(line[i++])));
  return name;
}

}  // namespace

Result<DataDir> DataDir::open(const std::string& path) {
  if (path.empty() || path.front() != '/')
    return fail(Code::invalid, "data_dir '" + path + "' is not an absolute path");
  // pg_ctl hands these names to a shell, inside double quotes.
  if (path.find_first_of("\"$`\\\n\r") != std::string::npos)
    return fail(Code::invalid, "data_dir '" + path + "' holds a character that pg_ctl cannot pass on");
  struct stat st{};
  if (::stat(path.c_str(), &st) != 0) return fail(Code::unreachable, io::errno_text(path));
  if (!S_ISDIR(st.st_mode)) return fail(Code::invalid, path + " is not a directory");
  DataDir dir;
  dir.path_ = path;
  dir.uid_ = st.st_uid;
  dir.gid_ = st.st_gid;
  if (!dir.has("PG_VERSION")) return fail(Code::invalid, path + " holds no PostgreSQL cluster (no PG_VERSION)");
  return dir;
}

Result<int> DataDir::major_version() const {
  FS_TRY(text, read("PG_VERSION"));
  int version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  // Before 10 the major version had two numbers.
  if (error != std::errc{} || version < 10 || (end != text.data() + text.size() && *end != '\n'))
    return fail(Code::corrupt, path_ + "/PG_VERSION says '" + text.substr(0, 20) + "'");
  return version;
}

bool DataDir::has(const std::string& name) const {
  struct stat st{};
  return ::lstat((path_ + "/" + name).c_str(), &st) == 0;
}

Result<std::string> DataDir::read(const std::string& name) const { return io::read_file(path_ + "/" + name); }

Result<void> DataDir::write(const std::string& name, const std::string& content) const {
  const auto path = path_ + "/" + name;
  const auto beside = path + ".foreshadow";
  auto written = [&]() -> Result<void> {
    ::unlink(beside.c_str());  // of a crash before
    const io::Fd file(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) return fail(Code::io, io::errno_text("create " + beside));
    FS_CHECK(fill(file.get(), content, beside));
    if (::geteuid() == 0 && ::fchown(file.get(), uid_, gid_) != 0)
      return fail(Code::io, io::errno_text("chown " + beside));
    if (::fsync(file.get()) != 0) return fail(Code::io, io::errno_text("sync " + beside));
    if (::rename(beside.c_str(), path.c_str()) != 0) return fail(Code::io, io::errno_text("rename to " + path));
    return {};
  }();
  if (!written) {
    ::unlink(beside.c_str());
    return written;
  }
  return sync_directory(path_);
}

Result<void> DataDir::remove(const std::string& name) const {
  const auto path = path_ + "/" + name;
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail(Code::io, io::errno_text("remove " + path));
  return sync_directory(path_);
}

Result<void> DataDir::rename_all(const std::vector<std::pair<std::string, std::string>>& from_to) const {
  for (const auto& [from, to] : from_to)
    if (::rename((path_ + "/" + from).c_str(), (path_ + "/" + to).c_str()) != 0)
      return fail(Code::io, io::errno_text("rename " + path_ + "/" + from + " to " + to));
  return sync_directory(path_);
}

Result<void> DataDir::keep_as(const std::string& name, const std::string& second_name) const {
  const auto second = path_ + "/" + second_name;
  if (::unlink(second.c_str()) != 0 && errno != ENOENT) return fail(Code::io, io::errno_text("remove " + second));
  if (::link((path_ + "/" + name).c_str(), second.c_str()) != 0)
    return fail(Code::io, io::errno_text("link " + second));
  return {};
}

std::string edit_auto_conf(const std::string& text,
                           const std::map<std::string, std::optional<std::string>>& parameters) {
  std::string out;
  std::size_t at = 0;
  while (at < text.size()) {
    auto end = text.find('\n', at);
    if (end == std::string::npos) end = text.size();
    const auto line = text.substr(at, end - at);
    if (!parameters.contains(parameter_of(line))) out += line + "\n";
    at = end + 1;
  }
  for (const auto& [name, value] : parameters) {
    if (!value) continue;
    out.append(name).append(" = '");
    for (const char c : *value) {
      if (c == '\n' || c == '\r') continue;  // a value is one line
      if (c == '\'' || c == '\\') out += c;
      out += c;
    }
    out += "'\n";
  }
  return out;
}

Result<std::string> DataDir::auto_conf() const {
  auto text = read("postgresql.auto.conf");
  if (!text && text.error().code == Code::unreachable) return std::string();
  return text;
}

Result<void> DataDir::configure(const std::map<std::string, std::optional<std::string>>& parameters) const {
  FS_TRY(text, auto_conf());
  const auto edited = edit_auto_conf(text, parameters);
  if (edited == text) return {};
  return write("postgresql.auto.conf", edited);
}

Result<Volume> volume_of(const std::string& path) {
  struct statvfs vfs{};
  struct stat st{};
  if (::statvfs(path.c_str(), &vfs) != 0 || ::stat(path.c_str(), &st) != 0) return fail(Code::io, io::errno_text(path));
  return Volume{static_cast<std::uint64_t>(vfs.f_bavail) * vfs.f_frsize, st.st_dev};
}

Result<void> empty_directory(const std::string& path) {
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    std::error_code removing;
    fs::remove_all(it->path(), removing);
    if (removing) return fail(Code::io, it->path().string() + ": " + removing.message());
  }
  if (error) return fail(Code::io, path + ": " + error.message());
  return {};
}

Result<bool> is_empty_directory(const std::string& path) {
  std::error_code error;
  const bool empty = fs::is_empty(path, error);
  if (error) return fail(Code::io, path + ": " + error.message());
  return empty;
}

}  // namespace foreshadow::kinds::postgres
