// YAML as a small tree with a place for every node: what the readers walk. Built from yaml-cpp's events and not from
// its own nodes, because those lose duplicate keys' places and let a few aliases stand for millions of nodes.
//
// Refused here: more than one document, tags, keys that are not plain words, a byte order mark, bytes that are not
// UTF-8, control characters, nesting deeper than 32, and aliases that expand the file to more than 200,000 nodes.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostics.hpp"

namespace foreshadow::config {

struct Node;
using NodePtr = std::shared_ptr<const Node>;  // shared, because an alias is a second owner of what it names

struct Entry {
  std::string key;
  Mark at;
  NodePtr value;
};

struct Node {
  enum class Type { empty, scalar, list, map };
  Type type = Type::empty;
  Mark at;
  std::string text;            // of a scalar
  bool quoted = false;         // the scalar was written in quotes
  std::vector<NodePtr> items;  // of a list
  std::vector<Entry> entries;  // of a map, in the file's order; keys are unique
  std::size_t weight = 1;      // nodes in this subtree with aliases written out
  std::size_t height = 1;      // levels in this subtree, with aliases written out
};

// Null after a syntax error. A duplicate key is told and its first value kept, so that reading can go on.
NodePtr parse_tree(std::string_view text, Diagnostics& problems);

const char* name_of(Node::Type type);

}  // namespace foreshadow::config
