// Kinds that only declare themselves: the configuration is checked against declarations, never against adapters.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/load.hpp"
#include "kinds/kind.hpp"

namespace foreshadow::config {

class DeclaredKind final : public kinds::Kind {
 public:
  DeclaredKind(std::string name, KindTraits traits, std::vector<kinds::OptionInfo> options)
      : name_(std::move(name)), traits_(traits), options_(std::move(options)) {}
  std::string name() const override { return name_; }
  KindTraits traits() const override { return traits_; }
  std::vector<kinds::OptionInfo> options() const override { return options_; }
  Result<void> check(const Resource& resource, const kinds::Options& options) const override {
    if (const auto rate = options.find("max_rate"); rate != options.end() && rate->second == "fast")
      return fail(Code::invalid, "max_rate: 'fast' is not a size; write one such as 20MB");
    if (name_ == "postgres" && resource.primary.data_dir.empty())
      return fail(Code::invalid, "data_dir is needed in primary:");
    return {};
  }
  std::vector<std::string> conditions() const override {
    if (name_ == "postgres") return {"application_name", "user", "database"};
    if (name_ == "tcp") return {};
    return {"method", "path", "header"};
  }
  std::vector<kinds::OptionInfo> segment_options() const override {
    if (name_ == "postgres") return {};
    return {{"timeout", ""}, {"sticky", ""}};
  }
  Result<void> check_condition(const std::string& name, const std::string& value) const override {
    if (name == "path" && !value.starts_with('/')) return fail(Code::invalid, "path '" + value + "' is not rooted");
    return {};
  }
  Result<void> check_segment_option(const std::string& name, const std::string& value) const override {
    if (value == "never") return fail(Code::invalid, "option " + name + ": 'never' is no time");
    return {};
  }
  Result<void> check_segment_options(const kinds::Options& own, const kinds::Options& resources) const override {
    if (own.contains("timeout") && own.contains("sticky") && resources.contains("health_path"))
      return fail(Code::invalid, "option timeout: sticky requests have none with a health_path");
    return {};
  }
  std::vector<std::unique_ptr<observe::Source>> sources(const Instance&, const kinds::Options&) const override {
    return {};
  }
  std::unique_ptr<act::Replicator> replicator(const kinds::Options&) const override { return nullptr; }
  std::unique_ptr<act::Promoter> promoter(const kinds::Options&) const override { return nullptr; }
  std::unique_ptr<proxy::Protocol> protocol(const proxy::ListenerSettings&,
                                            boost::asio::any_io_executor) const override {
    return nullptr;
  }

 private:
  std::string name_;
  KindTraits traits_;
  std::vector<kinds::OptionInfo> options_;
};

inline Kinds declared_kinds() {
  Kinds kinds;
  kinds.push_back(std::make_unique<DeclaredKind>("http", KindTraits{.shares_data = true, .counterfactual = true},
                                                 std::vector<kinds::OptionInfo>{{"health_path", ""}}));
  kinds.push_back(
      std::make_unique<DeclaredKind>("postgres", KindTraits{.fences = true, .counterfactual = true},
                                     std::vector<kinds::OptionInfo>{{"max_rate", ""}, {"password_file", ""}}));
  return kinds;
}

// Relative paths are seen from /etc/foreshadow, messages name f.yaml.
inline Result<Config> parse_declared(std::string_view text, KnownKeys* known = nullptr) {
  static const auto kinds = declared_kinds();
  return parse(text, "f.yaml", "/etc/foreshadow", kinds, known);
}

}  // namespace foreshadow::config
