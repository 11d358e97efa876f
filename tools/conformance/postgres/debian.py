"""Source packages and packages of Debian's, by name, below a directory of our own.

apt does it, with a list, an index and a cache that are ours: it compares every file with the signed index, and the machine's own
lists, which rarely name sources, stay as they are. Nothing is installed.
"""

import os
import pathlib
import shutil
import subprocess
import time

KEYRING = pathlib.Path("/usr/share/keyrings/debian-archive-keyring.gpg")
LISTS_FRESH_S = 24 * 3600
INDEX_FORMAT = "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)"


class CannotObtain(Exception):
    """The text says why, and what could mend it."""


def run(argv, **named):
    """Its standard output; CannotObtain with the end of what it said if it fails."""
    done = subprocess.run([str(word) for word in argv], stdin=subprocess.DEVNULL, capture_output=True, text=True, **named)
    if done.returncode != 0:
        said = (done.stderr + done.stdout).strip().splitlines()[-3:]
        raise CannotObtain(f"{pathlib.Path(argv[0]).name} {argv[1] if len(argv) > 1 else ''}: {' / '.join(said)}")
    return done.stdout


def installed_version(package):
    """As dpkg names it."""
    return run(["dpkg-query", "-W", "-f", "${Version}", package]).strip()


def list_lines(targets):
    """Our list's lines, for each of the machine's own that are Debian's (others are nobody's business here)."""
    lines = []
    for target in targets.splitlines():
        origin, *where = target.split("|")
        if origin == "Debian" and len(where) == 3:
            lines += [f"{kind} [signed-by={KEYRING}] {' '.join(where)}" for kind in ("deb", "deb-src")]
    return list(dict.fromkeys(lines))


class Debian:
    def __init__(self, directory):
        self._dir = directory
        self._ready = False

    def _apt(self, tool, *words, cwd=None):
        d = self._dir
        settings = {"Dir::Etc::SourceList": d / "sources.list", "Dir::Etc::SourceParts": "/dev/null", "Dir::State::Lists": d / "lists",
                    "Dir::Cache": d / "cache", "APT::Sandbox::User": "root" if os.geteuid() == 0 else "", "Acquire::Languages": "none",
                    "APT::Get::List-Cleanup": "true",
                    # Descriptions for software centres: nobody reads them here.
                    "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false"}
        options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
        return run([f"apt-{tool}", "-q", *options, *words], cwd=cwd)

    def _prepare(self):
        if self._ready:
            return
        lines = list_lines(run(["apt-get", "indextargets", "--format", INDEX_FORMAT, "Created-By: Packages"]))
        if not lines:
            raise CannotObtain("apt on this machine knows no repository of Debian's: run apt-get update first")
        for folder in ("lists/partial", "cache/archives/partial"):
            (self._dir / folder).mkdir(parents=True, exist_ok=True)
        ours, text = self._dir / "sources.list", "\n".join(lines) + "\n"
        if not ours.exists() or ours.read_text() != text or time.time() - ours.stat().st_mtime > LISTS_FRESH_S:
            # Older than fresh until the lists are there.
            ours.write_text(text)
            os.utime(ours, (0, 0))
            self._apt("get", "update")
            os.utime(ours)
        self._ready = True

    def versions(self, package, first, sources):
        """The versions of a package that the lists name, newest first; `first`, if it is not None, before all."""
        self._prepare()
        named = [[cell.strip() for cell in line.split("|")] for line in self._apt("cache", "madison", package).splitlines()]
        found = [version for _, version, where in named if where.endswith("Sources") == sources]
        return list(dict.fromkeys([*([first] if first else []), *found]))

    def _first(self, kind, package, versions, directory):
        """A pool may have dropped, or not yet have, a version that its list names: then the next one will do."""
        why = None
        for version in versions:
            directory.mkdir(parents=True, exist_ok=True)
            try:
                self._apt("get", *kind, f"{package}={version}", cwd=directory)
                return version
            except CannotObtain as one:
                why = why or one
                shutil.rmtree(directory)
        raise why or CannotObtain(f"no list names {package}")

    def source(self, package, version, directory):
        """The archives of a source package, checked, in `directory`, which is not there yet: of that version, or the newest that can be had
        (also if `version` is None). Returns its version."""
        return self._first(["source", "--download-only", "--tar-only"], package, self.versions(package, version, sources=True), directory)

    def package(self, package, version, directory):
        """The contents of a package, unpacked in `directory`, which is not there yet. Versions as with source()."""
        self._first(["download"], package, self.versions(package, version, sources=False), directory)
        run(["dpkg-deb", "-x", next(directory.glob(f"{package}_*.deb")), directory])


def unpack(directory, pattern, into, *parts):
    """Unpacks the one archive in `directory` that matches, without its first folder; only `parts` of it, if any are named."""
    archives = sorted(directory.glob(pattern))
    if not archives:
        raise CannotObtain(f"no {pattern} among the files of the source package in {directory}")
    into.mkdir(parents=True, exist_ok=True)
    run(["tar", "-xf", archives[-1], "-C", into, "--strip-components", "1", *(["--wildcards", *(f"*/{part}" for part in parts)] if parts else [])])
