// A kind of resource is a bundle of factories for the stages' ports. The engine and the roles see only this header;
// app/kinds.cpp lists the kinds.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "act/promote/promoter.hpp"
#include "act/replicate/replicator.hpp"
#include "base/result.hpp"
#include "domain/resource.hpp"
#include "observe/source.hpp"
#include "proxy/protocol.hpp"

namespace foreshadow::kinds {

// A kind's own settings as written in the configuration, flat: {"max_rate": "20MB", "database": "shop"}.
using Options = std::map<std::string, std::string>;

struct OptionInfo {
  std::string name;
  std::string help;
};

class Kind {
 public:
  virtual ~Kind() = default;
  virtual std::string name() const = 0;
  virtual KindTraits traits() const = 0;
  // Every option it knows, for validation and suggestions.
  virtual std::vector<OptionInfo> options() const = 0;
  // Values, not just names: called by `validate` and at start.
  virtual Result<void> check(const Resource& resource, const Options& options) const = 0;
  // What a segment's `match` can tell work apart by, and the options a segment may have for itself.
  virtual std::vector<std::string> conditions() const { return {}; }
  virtual std::vector<OptionInfo> segment_options() const { return {}; }
  // One value of either, its name known. Error: invalid, naming it and the mend.
  virtual Result<void> check_condition(const std::string& name, const std::string& value) const {
    if (value.find('\n') == std::string::npos) return {};
    return fail(Code::invalid, name + " takes one value; give each value a segment of its own");
  }
  virtual Result<void> check_segment_option(const std::string&, const std::string&) const { return {}; }
  // A segment's options together and with the resource's, each good by itself. Error: invalid, beginning with
  // "option NAME:" of one of the segment's.
  virtual Result<void> check_segment_options(const Options&, const Options&) const { return {}; }
  // The same for the files that options name: are they there, and do they hold what they should? Called by `validate`
  // and at the start of a gateway only: who reads the configuration otherwise may not be allowed to read keys.
  virtual Result<void> check_files(const Options&) const { return {}; }
  // Options that only make sense with what the listener has, or has not. Error: invalid, beginning with "option NAME:".
  virtual Result<void> check_listener(const proxy::ListenerSettings&, const Options&) const { return {}; }
  // What to read of one instance (primary, shadow or old primary): process, volume, probe, the kind's internals.
  virtual std::vector<std::unique_ptr<observe::Source>> sources(const Instance& instance,
                                                                const Options& options) const = 0;
  virtual std::unique_ptr<act::Replicator> replicator(const Options& options) const = 0;
  virtual std::unique_ptr<act::Promoter> promoter(const Options& options) const = 0;
  virtual std::unique_ptr<proxy::Protocol> protocol(const proxy::ListenerSettings& settings,
                                                    boost::asio::any_io_executor executor) const = 0;
};

}  // namespace foreshadow::kinds
