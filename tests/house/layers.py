"""Includes only go down the floors of docs/ARCHITECTURE.md, and every outside library stays in the rooms that own it."""

import pathlib
import re

from source import CPP, Finding, files, includes, read

FLOORS = {
    "base": 0,
    "domain": 1,
    "io": 1,
    "observe": 2,
    "foresee": 2,
    "decide": 2,
    "act": 2,
    "learn": 2,
    "journal": 2,
    "proxy": 3,
    "kinds": 4,  # kinds/kind.hpp, the port; kinds/<kind> is a room of its own on floor 5
    "engine": 5,
    "config": 6,
    "publish": 6,
    "api": 6,
    "sim": 7,
    "app": 7,
}
KIND_FLOOR = 5

# Pure rooms: values in, values out. They get the two rooms that are pure themselves, and nothing that could wait or look.
PURE = {"foresee", "decide", "learn"}
PURE_SEES = {"base", "domain"}
PURE_REFUSED = re.compile(
    r"^(sys/.*|arpa/.*|netinet/.*|unistd\.h|fcntl\.h|poll\.h|signal\.h|thread|mutex|shared_mutex|condition_variable|future"
    r"|atomic|semaphore|latch|barrier|stop_token|fstream|iostream|filesystem|cstdio|stdio\.h|ctime|time\.h|boost/asio.*"
    r"|spdlog/.*|sqlite3\.h|libpq-fe\.h)$"
)

# Who a library belongs to. Elsewhere it is reached through the room that wraps it.
LIBRARIES = {
    "boost/": {"proxy", "kinds", "app", "sim"},
    "nlohmann/": None,
    "spdlog/": {"base"},
    "tl/expected.hpp": {"base", "kinds"},  # a codec has its own kind of refusal; all else is Result
    "sqlite3.h": {"observe", "journal"},
    "yaml-cpp/": {"config", "observe"},
    "CLI/": {"app"},
    "openssl/": {"io", "proxy", "kinds"},
    "zlib.h": {"kinds"},
    "libpq-fe.h": {"kinds"},
}
# Parsing nlohmann/json.hpp costs a second: headers take json_fwd.hpp, save the one that gives the domain its JSON.
JSON_HEADERS = {"src/domain/json.hpp"}

# The sim subcommand lives in app; nothing in sim knows of it.
NAMED_EXCEPTIONS = {("app", "sim")}


def room_of(path):
    """The room of a path below src/, such as "engine" or "kinds/http"; None when it is in no room."""
    parts = pathlib.PurePosixPath(path).parts
    if len(parts) < 2 or parts[0] not in FLOORS:
        return None
    if parts[0] == "kinds" and len(parts) > 2:
        return f"kinds/{parts[1]}"
    return parts[0]


def room_of_library(name):
    """A library may be a part of a room: "kinds/postgres/gateway" belongs to "kinds/postgres"."""
    return room_of(f"{name}/CMakeLists.txt") or name


def floor_of(room):
    return KIND_FLOOR if room.startswith("kinds/") else FLOORS[room]


def objection(room, target):
    """Why `room` may not see `target`, as (what, mend); None when it may."""
    if room == target or (room, target) in NAMED_EXCEPTIONS:
        return None
    for one in (room, target):
        if one.split("/")[0] not in FLOORS:
            return f"{one} is no room of the floors table", "Put it in one"
    if room in PURE and target not in PURE_SEES:
        return f"{room} is pure and sees only base and domain, not {target}", "Take the value as an argument"
    if room == "proxy" and target in PURE:
        return f"the data plane knows nothing of {target}", "Let the engine send it a route table"
    if target.startswith("kinds/") and room not in ("app", "sim"):
        if room.startswith("kinds/"):
            return "kinds never include each other", "Move what both need to the stage that owns the port"
        return f"{room} sees kinds only through kinds/kind.hpp, not {target}", "Add what it needs to the Kind port"
    if floor_of(target) == floor_of(room):
        return (f"{room} and {target} are siblings on floor {floor_of(room)}",
                "Let the room above both move the value between them, or put the shared type a floor down")
    if floor_of(target) > floor_of(room):
        return (f"{room} (floor {floor_of(room)}) includes {target} (floor {floor_of(target)}), which is above it",
                "Turn it round: a port below, the implementation above")
    return None


def check_library(path, line, name, room):
    for prefix, homes in LIBRARIES.items():
        if name.startswith(prefix) and homes is not None and room.split("/")[0] not in homes:
            yield Finding(path, line, f"<{name}> belongs to {', '.join(sorted(homes))}", "Go through that room")
    if name == "nlohmann/json.hpp" and path.endswith(".hpp") and path not in JSON_HEADERS:
        yield Finding(path, line, "nlohmann/json.hpp in a header slows every file that includes it",
                      "Include nlohmann/json_fwd.hpp, and json.hpp in the .cpp")
    if room in PURE and PURE_REFUSED.match(name):
        yield Finding(path, line, f"{room} is pure: <{name}> can wait, look or share", "Take what it gives as an argument")
    if name.split("/")[0] in FLOORS and "/" in name:
        yield Finding(path, line, f"our own header in angle brackets: <{name}>", f'Write "{name}"')


def check_source(root, path):
    room = room_of(path.relative_to("src"))
    if room is None:
        yield Finding(str(path), 1, "a source file outside every room", "Put it in a folder of the floors table")
        return
    for line, name, quoted in includes(read(root, path)):
        if not quoted:
            yield from check_library(str(path), line, name, room)
            continue
        target = room_of(name)
        if target is None or not (pathlib.Path(root) / "src" / name).is_file():
            yield Finding(str(path), line, f'"{name}" is no header of src/', "Write its path from src/, as in \"base/result.hpp\"")
            continue
        refused = objection(room, target)
        if refused:
            yield Finding(str(path), line, *refused)


_DEPS = re.compile(r"foreshadow_library\(\s*([\w/]+)(.*?)\)", re.DOTALL)


def check_links(root, path):
    """What a folder links is held to the same table, so that purity shows in the build."""
    text = read(root, path)
    for match in _DEPS.finditer(text):
        words = match.group(2).split()
        dependencies = []
        if "DEPS" in words:
            for word in words[words.index("DEPS") + 1:]:
                if word.isupper():
                    break
                dependencies.append(word)
        line = text.count("\n", 0, match.start()) + 1
        room = room_of_library(match.group(1))
        for dependency in dependencies:
            refused = objection(room, room_of_library(dependency))
            if refused:
                yield Finding(str(path), line, f"links {dependency}: {refused[0]}", refused[1])


def check_example(root, path):
    """Examples stand for other people's programs, and the load generator judges us: of ours they share only base."""
    for line, name, quoted in includes(read(root, path)):
        target = room_of(name) if quoted and (pathlib.Path(root) / "src" / name).is_file() else None
        if target is not None and target != "base":
            yield Finding(str(path), line, f'an example includes "{name}"', "Examples see only src/base of ours")


_ROW = re.compile(r"^\|\s*(\d+)\s*\|([^|]*)\|", re.MULTILINE)


def check_table(root):
    """The table that people read is the table that is checked."""
    path = pathlib.Path(root) / "docs/ARCHITECTURE.md"
    if not path.is_file():
        return
    text = path.read_text(encoding="utf-8")
    stated = {}
    for row in _ROW.finditer(text):
        for name in re.findall(r"`src/([\w/<>.]+)`", row.group(2)):
            stated[name.removesuffix("/kind.hpp")] = (int(row.group(1)), text.count("\n", 0, row.start()) + 1)
    wanted = {**FLOORS, "kinds/<kind>": KIND_FLOOR}
    for room, floor in wanted.items():
        said, line = stated.get(room, (None, 1))
        if said != floor:
            yield Finding("docs/ARCHITECTURE.md", line, f"the floors table puts src/{room} on {said}, the check on {floor}",
                          "Make the table and tests/house/layers.py agree")


def check(root):
    yield from check_table(root)
    for path in files(root, "src", CPP):
        yield from check_source(root, path)
    for path in files(root, "src", ("CMakeLists.txt",)):
        yield from check_links(root, path)
    for path in files(root, "examples", CPP):
        yield from check_example(root, path)
