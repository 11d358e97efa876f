// The one JSON object in which provisioners and we tell each other an instance:
// {"id", "address": "host:port", "data_dir"?, "pid_file"?, "failure_domains"?: [...], "attributes"?: {...}}
//
// Reading it is strict, because what it says will be given work and, later, destroyed: one object, no field twice, none
// unknown, and nothing that is the primary's own.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "base/result.hpp"
#include "domain/resource.hpp"

namespace foreshadow::act {

// invalid, naming the field and the mend. `primary`: the instance that this one must differ from.
Result<Instance> parse_instance(std::string_view text, const Instance& primary);
// The same of values already read.
Result<Instance> instance_from(const nlohmann::json& object, const Instance& primary);

nlohmann::json instance_object(const Instance& instance);

}  // namespace foreshadow::act
