#include "act/provision/provenance.hpp"

#include <algorithm>
#include <cctype>
#include <utility>

#include "domain/json.hpp"

namespace foreshadow::act {
namespace {

using nlohmann::json;

constexpr std::pair<Made::Stage, const char*> kStages[] = {
    {Made::Stage::begun, "begun"}, {Made::Stage::made, "made"}, {Made::Stage::destroyed, "destroyed"}};

std::string encode_made(const Made& made, const std::string& key) {
  json object{{"version", 1},
              {"key", key},
              {"resource", made.resource},
              {"addresses", made.addresses},
              {"instance", made.instance}};
  for (const auto& [stage, name] : kStages)
    if (stage == made.stage) object["stage"] = name;
  return object.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<Made> decode_made(const std::string& text, const std::string& key) {
  try {
    const auto object = json::parse(text);
    if (object.at("version").get<int>() != 1)
      return fail(Code::invalid, "was written by another version of Foreshadow");
    if (object.at("key").get<std::string>() != key) return fail(Code::corrupt, "is of another key");
    Made made;
    const auto name = object.at("stage").get<std::string>();
    const auto* stage = std::ranges::find(kStages, name, &std::pair<Made::Stage, const char*>::second);
    if (stage == std::end(kStages)) return fail(Code::corrupt, "is damaged: stage '" + name + "'");
    made.stage = stage->first;
    object.at("resource").get_to(made.resource);
    object.at("addresses").get_to(made.addresses);
    object.at("instance").get_to(made.instance);
    return made;
  } catch (const json::exception& e) {
    return fail(Code::corrupt, std::string("is damaged: ") + e.what());
  }
}

}  // namespace

bool usable_key(const std::string& key) {
  return !key.empty() && key.size() <= 200 && key.front() != '.' && key.front() != '-' &&
         std::ranges::all_of(key, [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; });
}

Result<Provenance> Provenance::open(const std::string& directory, const std::string& key) {
  if (!usable_key(key))
    return fail(Code::invalid, "'" + key + "' cannot be a provisioning key: letters, digits, '-', '_' and '.' only");
  FS_CHECK(io::make_directory(directory));
  const std::string path = directory + "/" + key + ".json";
  // Before reading: what is read must still be true when it is acted on.
  FS_TRY(lock, io::FileLock::take(directory + "/" + key + ".lock"));
  Provenance provenance(std::move(lock), path, key);
  const auto text = io::read_file(path);
  if (!text && text.error().code == Code::unreachable) return provenance;
  if (!text) return tl::make_unexpected(text.error());
  auto made = decode_made(*text, key);
  if (!made)
    return fail(made.error().code,
                path + " " + made.error().what + "; nothing is done under this key until a person has looked");
  provenance.made_ = std::move(*made);
  return provenance;
}

Result<void> Provenance::store(Made made) {
  FS_CHECK(io::write_file_durably(path_, encode_made(made, key_)));
  made_ = std::move(made);
  return {};
}

Result<void> Provenance::confirm(const ResourceId& resource, const Instance& instance) const {
  const auto refuse = [&](const std::string& why) {
    return fail(Code::refused, "not destroying " + instance.id + " (" + instance.endpoint.text() + "): " + why);
  };
  if (!made_ || !made_->instance) return refuse("nothing is recorded as made under key " + key_ + " (" + path_ + ")");
  if (made_->resource != resource) return refuse("key " + key_ + " was used for resource " + made_->resource);
  const auto& ours = *made_->instance;
  if (ours.id != instance.id) return refuse("under key " + key_ + " " + ours.id + " was made");
  if (ours.endpoint != instance.endpoint)
    return refuse("what was made under key " + key_ + " is at " + ours.endpoint.text());
  if (ours.data_dir != instance.data_dir)
    return refuse("what was made under key " + key_ + " has its data in '" + ours.data_dir + "'");
  return {};
}

}  // namespace foreshadow::act
