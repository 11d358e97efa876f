"""Every header of src/ compiles alone, included first and twice: nobody needs to know what to include before it.

A header that its own .cpp includes before anything else is left to the build, which proves it each time. Where a library
is built with a precompiled header that proves less: there headers are compiled on top of the same one, which is what makes
it affordable, and what they use of Boost.Asio they must include, seen from the text.

A header that passed is not compiled again until it, a header of ours below it, or the command changes; what passed is
kept in a JSON file of the build directory.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import tempfile

from source import Finding, files, includes, read

PCH = re.compile(r"\bPCH\s+\$\{PROJECT_SOURCE_DIR\}/(\S+\.hpp)")
ASIO = re.compile(r"^[^/]*\basio::", re.MULTILINE)
ERROR = re.compile(r"^([^\s:][^:]*):(\d+):\d+: (?:fatal )?error: (.*)$", re.MULTILINE)


class Digests:
    """A header's digest covers every header of ours that it reaches."""

    def __init__(self, root, salt):
        self.root = pathlib.Path(root)
        self.salt = salt
        self.reached = {}

    def reach(self, name):
        seen, pending = set(), [name]
        while pending:
            one = pending.pop()
            if one in seen or not (self.root / "src" / one).is_file():
                continue
            seen.add(one)
            pending.extend(self.direct(one))
        return seen

    def direct(self, name):
        if name not in self.reached:
            text = read(self.root, pathlib.Path("src") / name)
            quoted = [include for _, include, is_quoted in includes(text) if is_quoted]
            self.reached[name] = (hashlib.sha256(text.encode()).hexdigest(), quoted)
        return self.reached[name][1]

    def of(self, name):
        whole = hashlib.sha256(self.salt.encode())
        for one in sorted(self.reach(name)):
            self.direct(one)
            whole.update(f"{one}\0{self.reached[one][0]}\0".encode())
        return whole.hexdigest()


def precompiled(root, name):
    """The precompiled header of the library that `name` belongs to, or None."""
    folder = pathlib.Path("src") / pathlib.Path(name).parent
    while folder != pathlib.Path("src"):
        lists = pathlib.Path(root) / folder / "CMakeLists.txt"
        if lists.is_file():
            found = PCH.search(lists.read_text())
            return found and found.group(1)
        folder = folder.parent
    return None


def proven_by_build(root, name):
    unit = pathlib.Path(root) / "src" / pathlib.Path(name).with_suffix(".cpp")
    if not unit.is_file():
        return False
    first = next((include for _, include, _ in includes(unit.read_text())), None)
    text = read(root, pathlib.Path("src") / name)
    return first == name and "#pragma once" in text


def names_asio_without_it(root, digests, name):
    text = read(root, pathlib.Path("src") / name)
    if not ASIO.search(text):
        return False
    reached = (read(root, pathlib.Path("src") / one) for one in digests.reach(name))
    return not any(include.startswith("boost/asio") for one in reached for _, include, _ in includes(one))


def precompile(root, compiler, flags, header, into):
    subprocess.run([compiler, *flags, "-x", "c++-header", header, "-o", into], cwd=root, check=True)


def compile_alone(root, compiler, flags, name):
    unit = f'#include "{name}"\n#include "{name}"\n'
    done = subprocess.run([compiler, *flags, "-fsyntax-only", "-x", "c++", "-"], input=unit, text=True, cwd=root,
                          capture_output=True)
    if done.returncode == 0:
        return None
    first = ERROR.search(done.stderr)
    if first and first.group(1) != "<stdin>":
        return Finding(os.path.normpath(first.group(1)), int(first.group(2)),
                       f"src/{name} does not compile alone: {first.group(3)}", "Include what it uses")
    return Finding(f"src/{name}", 1, f"does not compile alone: {done.stderr.strip()[:500]}", "Include what it uses")


def check(root, compiler="clang++-19", flags=(), cache=None, jobs=None):
    flags = ["-std=c++23", "-Isrc", "-w", *flags]
    version = subprocess.run([compiler, "--version"], text=True, capture_output=True, check=True).stdout
    digests = Digests(root, json.dumps([version, flags]))
    passed = {}
    if cache and pathlib.Path(cache).is_file():
        try:
            passed = json.loads(pathlib.Path(cache).read_text())
        except ValueError:
            passed = {}
    names = [path.relative_to("src").as_posix() for path in files(root, "src", (".hpp",))]
    wanted = {name: digests.of(name) for name in names}
    stale = [name for name in names if passed.get(name) != wanted[name]]
    findings = []
    try:
        with tempfile.TemporaryDirectory() as scratch, \
                concurrent.futures.ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
            shared = {}
            for name in stale:
                header = precompiled(root, name)
                if header and header not in shared:
                    shared[header] = os.path.join(scratch, f"{len(shared)}.pch")
                    precompile(root, compiler, flags, header, shared[header])

            def look(name):
                header = precompiled(root, name)
                if not header and proven_by_build(root, name):
                    return None
                if header and names_asio_without_it(root, digests, name):
                    return Finding(f"src/{name}", 1, "uses Boost.Asio, and nothing that it includes does",
                                   "Include what it uses")
                return compile_alone(root, compiler, [*flags, *(["-include-pch", shared[header]] if header else [])], name)

            results = pool.map(look, stale)
            for name, finding in zip(stale, results):
                if finding:
                    findings.append(finding)
                else:
                    passed[name] = wanted[name]
    finally:
        if cache:
            pathlib.Path(cache).parent.mkdir(parents=True, exist_ok=True)
            kept = {name: digest for name, digest in passed.items() if name in wanted}
            pathlib.Path(cache).write_text(json.dumps(kept, indent=1))
    return findings
