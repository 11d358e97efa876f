#include "config/load.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>

#include "config/endpoint.hpp"
#include "config/fields.hpp"
#include "config/read_resource.hpp"
#include "io/files.hpp"
#include "kinds/kind.hpp"
#include "proxy/threads.hpp"

namespace foreshadow::config {
namespace {

constexpr int kVersion = 1;

// `more`: reads what a process of this kind has besides its name.
void read_processes(Fields& root, const std::string& key, std::vector<std::string>& names,
                    const std::function<void(Fields&, const std::string& name)>& more = {}) {
  root.each(key, [&](Fields& f) {
    std::string name;
    f.identifier("name", name);
    if (more) more(f, name);
    if (name.empty()) return;
    if (std::find(names.begin(), names.end(), name) != names.end())
      f.problem("name", fmt::format("name: {} is listed twice in {}; keep one", shown(name), key));
    names.push_back(std::move(name));
  });
}

void check_sockets(Fields& root, const Config& config) {
  constexpr std::size_t path_max = 107;  // sun_path of unix(7), without its final NUL
  std::size_t longest = config.controller_socket().size();
  for (const auto& name : config.gateways) longest = std::max(longest, config.gateway_socket(name).size());
  for (const auto& name : config.agents) longest = std::max(longest, config.agent_socket(name).size());
  if (longest > path_max)
    root.problem(
        "state_dir",
        fmt::format(
            "state_dir: the path of a socket in it would have {} bytes, and the system allows {}; choose a shorter one",
            longest, path_max));
}

void refer(Mark at, const char* key, const char* what, const std::string& name, const std::vector<std::string>& names,
           Diagnostics& problems) {
  if (std::find(names.begin(), names.end(), name) != names.end()) return;
  problems.add(at, fmt::format("{}: no {} {} in {}s:{}", key, what, shown(name), what,
                               names.empty() ? "; add it there" : suggestion(name, names, "there are")));
}

void check_references(const Config& config, const std::vector<ResourceMarks>& marks, Diagnostics& problems) {
  for (std::size_t i = 0; i < config.resources.size(); ++i) {
    const auto& settings = config.resources[i];
    for (const auto& gateway : settings.resource.gateways)
      refer(marks[i].gateways, "gateways", "gateway", gateway, config.gateways, problems);
    if (!settings.agent.empty()) refer(marks[i].agent, "agent", "agent", settings.agent, config.agents, problems);
  }
}

// Names and addresses that only one resource may have.
void check_unique(const Config& config, const std::vector<ResourceMarks>& marks, Diagnostics& problems) {
  const auto check = [&](std::size_t i, std::size_t j) {
    const auto& settings = config.resources[i];
    const auto& earlier = config.resources[j];
    const auto& primary = settings.resource.primary;
    if (!settings.resource.id.empty() && earlier.resource.id == settings.resource.id)
      problems.add(marks[i].name, fmt::format("name: a resource {} was given on line {} already; choose another",
                                              shown(settings.resource.id), marks[j].name.line));
    const auto& common = settings.listener.listen;
    if (common.port != 0 && collide(common, earlier.listener.listen))
      problems.add(marks[i].listen, fmt::format("listen: {} is taken by resource {} on line {}; choose another port",
                                                common.text(), shown(earlier.resource.id), marks[j].listen.line));
    for (const auto& gateway : settings.resource.gateways)
      for (const auto& other : earlier.resource.gateways) {
        const auto at = settings.listen_at(gateway);
        const auto taken = earlier.listen_at(other);
        if (at == common && taken == earlier.listener.listen) continue;  // told above, once
        if (at.port != 0 && collide(at, taken))
          problems.add(marks[i].gateways,
                       fmt::format("gateways: {} is taken by gateway {} of resource {} on line {}; choose "
                                   "another port",
                                   at.text(), shown(other), shown(earlier.resource.id), marks[j].gateways.line));
      }
    if (primary.endpoint.port != 0 && primary.endpoint == earlier.resource.primary.endpoint)
      problems.add(marks[i].primary, fmt::format("primary: {} is protected as resource {} already; protect it once",
                                                 primary.endpoint.text(), shown(earlier.resource.id)));
  };
  for (std::size_t i = 0; i < config.resources.size(); ++i) {
    // Two gateways with the common address may stand on two networks that share a state directory; with addresses of
    // their own, somebody meant them to differ.
    const auto& own = config.resources[i].listens;
    for (auto a = own.begin(); a != own.end(); ++a)
      for (auto b = own.begin(); b != a; ++b)
        if (collide(a->second, b->second))
          problems.add(marks[i].gateways,
                       fmt::format("gateways: {} and {} would both listen at {}; choose another port for one",
                                   shown(b->first), shown(a->first), a->second.text()));
    for (std::size_t j = 0; j < i; ++j) check(i, j);
  }
}

void read_root(Fields& root, Config& config) {
  int version = kVersion;
  root.integer("version", version, 0, 1'000'000);
  if (!root.has("version")) root.problem("version", fmt::format("version: missing; add version: {}", kVersion));
  if (version != kVersion)
    root.problem("version", fmt::format("version: {} is not known; this build reads version {}", version, kVersion));
  root.path("state_dir", config.state_dir, Need::required);
  using log::Level;
  root.one_of<Level>("log_level", config.log_level,
                     {{"trace", Level::trace},
                      {"debug", Level::debug},
                      {"info", Level::info},
                      {"warn", Level::warn},
                      {"error", Level::error}});
  read_processes(root, "gateways", config.gateways, [&](Fields& f, const std::string& name) {
    int threads = 1;
    f.integer("threads", threads, 1, proxy::kThreadsMax);
    if (threads != 1) config.threads[name] = threads;
  });
  read_processes(root, "agents", config.agents);
  const bool processes_known = root.reading().problems.count() == 0;
  std::vector<ResourceMarks> marks;
  root.each(
      "resources", [&](Fields& f) { read_resource(f, config.resources.emplace_back(), marks.emplace_back()); },
      Need::required);
  if (root.has("resources") && config.resources.empty() && root.reading().problems.count() == 0)
    root.problem("resources", "resources: the list is empty; name at least one resource");
  if (processes_known) check_references(config, marks, root.reading().problems);
  check_unique(config, marks, root.reading().problems);
  check_sockets(root, config);
  root.finish();
}

// A kind that acts through an agent is told where it listens; only now are state_dir and the agents known.
void fill_agent_sockets(Config& config, const Kinds& kinds) {
  for (auto& settings : config.resources) {
    if (settings.agent.empty()) continue;
    for (const auto& kind : kinds) {
      if (kind->name() != settings.resource.kind) continue;
      for (const auto& option : kind->options())
        if (option.name == "agent_socket") settings.options.emplace(option.name, config.agent_socket(settings.agent));
    }
  }
}

}  // namespace

Result<Config> parse(std::string_view text, const std::string& file, const std::string& base_dir, const Kinds& kinds,
                     KnownKeys* known, Ask ask) {
  Diagnostics problems;
  Config config;
  config.file = file;
  if (text.size() > kFileBytesMax) {
    problems.add({}, fmt::format("the file is larger than {} bytes; split it over several controllers", kFileBytesMax));
  } else if (const auto tree = parse_tree(text, problems); tree != nullptr) {
    if (tree->type == Node::Type::map) {
      Reading reading{problems, kinds, base_dir, known, ask};
      Fields root(*tree, "", reading);
      read_root(root, config);
    } else {
      problems.add(tree->at, fmt::format("the file holds {} where a map belongs; start it with version: {}",
                                         name_of(tree->type), kVersion));
    }
  }
  if (problems.count() != 0) return fail(Code::invalid, problems.text(file));
  fill_agent_sockets(config, kinds);
  return config;
}

Result<Config> load(const std::string& file, const Kinds& kinds, Ask ask) {
  auto text = io::read_file(file, kFileBytesMax);
  if (!text) return fail(text.error().code, fmt::format("{}: {}", file, text.error().what));
  std::error_code ignored;
  const auto whole = std::filesystem::absolute(file, ignored).lexically_normal();
  return parse(*text, file, whole.parent_path().string(), kinds, nullptr, ask);
}

}  // namespace foreshadow::config
