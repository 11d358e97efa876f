#include "config/tree.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>

namespace foreshadow::config {
namespace {

constexpr std::size_t kDepthMax = 32;
constexpr std::size_t kWeightMax = 200'000;

struct Stop {  // leaves yaml-cpp's parser from inside one of its callbacks
  Mark at;
  std::string what;
};

Mark place(const YAML::Mark& mark) { return mark.is_null() ? Mark{} : Mark{mark.line + 1, mark.column + 1}; }

class Builder final : public YAML::EventHandler {
 public:
  explicit Builder(Diagnostics& problems) : problems_(problems) {}

  NodePtr root() const { return root_; }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    auto node = std::make_shared<Node>();
    node->at = place(mark);
    put(node, anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto known = anchors_.find(anchor);
    if (known == anchors_.end()) throw Stop{place(mark), "an alias inside what it names; write the value out"};
    if (!open_.empty() && expects_key()) throw Stop{place(mark), "an alias as a key; write the key out"};
    put(known->second, 0, place(mark));
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_tag(mark, tag);
    auto node = std::make_shared<Node>();
    node->type = Node::Type::scalar;
    node->at = place(mark);
    node->text = value;
    node->quoted = tag == "!";
    put(node, anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    begin(mark, tag, anchor, Node::Type::list);
  }
  void OnSequenceEnd() override { end(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    begin(mark, tag, anchor, Node::Type::map);
  }
  void OnMapEnd() override { end(); }

 private:
  struct Open {
    std::shared_ptr<Node> node;
    YAML::anchor_t anchor;
    std::optional<Entry> key;         // of a map: the key whose value comes next
    std::map<std::string, int> seen;  // of a map: its keys and their lines
  };

  bool expects_key() const { return open_.back().node->type == Node::Type::map && !open_.back().key; }

  static Stop too_deep(Mark at) { return {at, fmt::format("nested deeper than {} levels; flatten it", kDepthMax)}; }
  static void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!")
      throw Stop{place(mark), fmt::format("the tag {} is not supported; remove it", shown(tag))};
  }
  void begin(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Node::Type type) {
    refuse_tag(mark, tag);
    if (!open_.empty() && expects_key()) throw Stop{place(mark), "a key must be one word, not a list or a map"};
    if (open_.size() == kDepthMax) throw too_deep(place(mark));
    auto node = std::make_shared<Node>();
    node->type = type;
    node->at = place(mark);
    open_.push_back({std::move(node), anchor, std::nullopt, {}});
  }
  void end() {
    auto done = std::move(open_.back());
    open_.pop_back();
    put(std::move(done.node), done.anchor);
  }
  void put(NodePtr node, YAML::anchor_t anchor, std::optional<Mark> alias_at = std::nullopt) {
    if (anchor != 0) anchors_[anchor] = node;
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    // An alias can also hide depth, one level for each anchor in a chain.
    if (open_.size() + node->height > kDepthMax + 1) throw too_deep(alias_at.value_or(node->at));
    auto& parent = open_.back();
    parent.node->height = std::max(parent.node->height, node->height + 1);
    parent.node->weight += node->weight;
    if (parent.node->weight > kWeightMax)
      throw Stop{alias_at.value_or(node->at),
                 fmt::format("the file stands for more than {} values; write less, or use fewer aliases", kWeightMax)};
    if (parent.node->type == Node::Type::list) {
      parent.node->items.push_back(std::move(node));
    } else if (!parent.key) {
      if (node->type != Node::Type::scalar) throw Stop{node->at, "an empty key; give it a name"};
      parent.key = Entry{node->text, node->at, nullptr};
    } else {
      auto entry = std::move(*parent.key);
      parent.key.reset();
      const auto [first, is_new] = parent.seen.emplace(entry.key, entry.at.line);
      if (!is_new) {
        problems_.add(entry.at,
                      fmt::format("key {} was given on line {} already; keep one", shown(entry.key), first->second));
        return;
      }
      entry.value = std::move(node);
      parent.node->entries.push_back(std::move(entry));
    }
  }

  Diagnostics& problems_;
  NodePtr root_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, NodePtr> anchors_;
};

// Length of the well-formed UTF-8 character that starts here, 0 if there is none (RFC 3629, section 4).
std::size_t utf8_length(std::string_view s) {
  const auto byte = [&](std::size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0U; };
  const auto next = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xBF) {
    return byte(i) >= low && byte(i) <= high;
  };
  const unsigned c = byte(0);
  if (c < 0x80) return 1;
  if (c >= 0xC2 && c <= 0xDF) return next(1) ? 2 : 0;
  if (c >= 0xE0 && c <= 0xEF) return next(1, c == 0xE0 ? 0xA0 : 0x80, c == 0xED ? 0x9F : 0xBF) && next(2) ? 3 : 0;
  if (c >= 0xF0 && c <= 0xF4)
    return next(1, c == 0xF0 ? 0x90 : 0x80, c == 0xF4 ? 0x8F : 0xBF) && next(2) && next(3) ? 4 : 0;
  return 0;
}

bool readable(std::string_view text, Diagnostics& problems) {
  if (text.starts_with("\xEF\xBB\xBF") || text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) {
    problems.add({}, "the file starts with a byte order mark; save it as UTF-8 without one");
    return false;
  }
  Mark at;
  for (std::size_t i = 0; i < text.size();) {
    const auto length = utf8_length(text.substr(i));
    if (length == 0) {
      problems.add(
          at, fmt::format("byte 0x{:02X} is not UTF-8; save the file as UTF-8", static_cast<unsigned char>(text[i])));
      return false;
    }
    const auto c = static_cast<unsigned char>(text[i]);
    if ((c < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == 0x7f) {
      problems.add(at, fmt::format("control character 0x{:02X}; remove it", c));
      return false;
    }
    if (c == '\n')
      at = {at.line + 1, 1};
    else
      ++at.column;
    i += length;
  }
  return true;
}

}  // namespace

NodePtr parse_tree(std::string_view text, Diagnostics& problems) {
  if (!readable(text, problems)) return nullptr;
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    Builder builder(problems);
    if (!parser.HandleNextDocument(builder) || builder.root() == nullptr || builder.root()->type == Node::Type::empty) {
      problems.add({}, "the file is empty; docs/configuration.md has one to start from");
      return nullptr;
    }
    Builder second(problems);
    if (parser.HandleNextDocument(second)) {
      problems.add(second.root() ? second.root()->at : Mark{}, "a second document; keep one '---' part in a file");
      return nullptr;
    }
    return builder.root();
  } catch (const Stop& stop) {
    problems.add(stop.at, stop.what);
  } catch (const YAML::Exception& e) {
    problems.add(place(e.mark), fmt::format("not YAML: {}; check indentation, quotes and brackets above here", e.msg));
  }
  return nullptr;
}

const char* name_of(Node::Type type) {
  switch (type) {
    case Node::Type::empty:
      return "nothing";
    case Node::Type::scalar:
      return "a single value";
    case Node::Type::list:
      return "a list";
    case Node::Type::map:
      return "a map";
  }
  return "nothing";
}

}  // namespace foreshadow::config
