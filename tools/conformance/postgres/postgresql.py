"""PostgreSQL's own suites, of the release that is installed: regression tests, isolation tests, pipelines of libpq."""

import re
import shutil
import time

from debian import CannotObtain, installed_version, run, unpack
from postgres import BIN
from results import Verdict
from suite import Suite

MAJOR = BIN.parent.name
PGXS_TESTS = BIN.parent / "lib/pgxs/src/test"

# Of the source package: unpacked once for all of them.
PARTS = ("src/test/regress", "src/test/isolation", "src/test/modules/libpq_pipeline")


class FromSources(Suite):
    def __init__(self, cache, debian):
        super().__init__(cache.parent / "postgresql", debian)

    def obtain(self):
        version = installed_version(f"postgresql-{MAJOR}")
        self.made(version, lambda: self._make(version))
        self.build()

    def _make(self, version):
        fetched = self.cache / "fetched"
        for left in ("fetched", "source", "headers", "built"):
            shutil.rmtree(self.cache / left, ignore_errors=True)
        self.debian.source(f"postgresql-{MAJOR}", version, fetched)
        unpack(fetched, f"postgresql-{MAJOR}_*.orig.tar.*", self.cache / "source", *PARTS)
        shutil.rmtree(fetched)
        # The server's headers; installed, the package would bring a second compiler with it.
        self.debian.package(f"postgresql-server-dev-{MAJOR}", version, self.cache / "headers")

    def build(self):
        """After the sources are there."""

    def compile(self, output, *words):
        """`output` from what `words` name, once."""
        if output.exists():
            return output
        headers = self.cache / f"headers/usr/include/postgresql/{MAJOR}/server"
        if not headers.is_dir():
            raise CannotObtain(f"the server's headers are not in {headers}")
        output.parent.mkdir(exist_ok=True)
        unfinished = output.with_suffix(".new")
        run(["clang-19", "-O1", "-w", "-fPIC", f"-I{headers}", "-I/usr/include/postgresql", *words,
             f"-L{self.cache}/headers/usr/lib/postgresql/{MAJOR}/lib", "-o", unfinished])
        unfinished.rename(output)
        return output


class Pipeline(FromSources):
    name = "libpq_pipeline"
    what = "libpq's pipeline mode; the trace of each message is compared"
    limit_s = 60

    def build(self):
        self.compile(self.cache / "built/libpq_pipeline", self.cache / "source/src/test/modules/libpq_pipeline/libpq_pipeline.c",
                     "-lpgcommon", "-lpgport", "-lpq")

    def run(self, target, one_at_a_time):
        program = self.cache / "built/libpq_pipeline"
        names = run([program, "tests"]).split()
        verdicts, odd, rounds = {}, set(), 0
        until = time.monotonic() + target.least_s
        while rounds == 0 or time.monotonic() < until:
            rounds += 1
            out = target.folder(f"traces-{rounds}")
            for name in names:
                now = self._one(target, program, name, out / name)
                # The first round is kept, unless a later one is unlike it: then that one is.
                if now.equals(verdicts.setdefault(name, now)) or name in odd:
                    continue
                verdicts[name] = now
                odd.add(name)
        return verdicts

    def _one(self, target, program, name, trace):
        # PostgreSQL has no trace of those where it depends on timing what libpq sends together, and they are long.
        exact = (self.cache / f"source/src/test/modules/libpq_pipeline/traces/{name}.trace").exists()
        log = f"{trace.parent.name}-{name}"
        code = self.program(target, log, [program, *(["-t", trace] if exact else []), name,
                                          f"host=127.0.0.1 port={target.port} user=postgres dbname=postgres"])
        said = trace.read_text(errors="replace") if trace.exists() else ""
        return Verdict("passed" if code == 0 else "failed", said + self.log_of(target, log), exact)


class Scripts(FromSources):
    """A schedule of scripts whose output is written down: pg_regress and its sister."""

    folder = ""
    schedule = ""

    def libraries(self):
        """What the scripts load into the server."""
        return []

    def arguments(self, one_at_a_time):
        return []

    def names(self, schedule):
        return [name for line in schedule.splitlines() if line.startswith("test:") for name in line.split()[1:]]

    def run(self, target, one_at_a_time):
        source = target.folder("source")
        # Where the server can read it, whoever may enter our cache.
        shutil.copytree(self.cache / "source" / self.folder, source, dirs_exist_ok=True)
        library = target.folder("library")
        for path in self.libraries():
            shutil.copy(path, library)
        out = target.folder("out")
        runner = PGXS_TESTS / self.runner
        self.program(target, self.name, [
            runner, f"--inputdir={source}", f"--outputdir={out}", f"--bindir={BIN}", f"--dlpath={library}", "--host=127.0.0.1",
            f"--port={target.port}", "--user=postgres", f"--schedule={source / self.schedule}", *self.arguments(one_at_a_time)],
            cwd=out, user=target.user)
        told = self.log_of(target, self.name)
        verdicts = {}
        for name in self.names((source / self.schedule).read_text()):
            written = out / "results" / f"{name}.out"
            outcome = re.search(rf"^(?:test)?\s+{re.escape(name)}\s+\.\.\. (ok|FAILED|failed)", told, re.MULTILINE)
            if written.exists() and outcome:
                verdicts[name] = Verdict("passed" if outcome.group(1) == "ok" else "failed", written.read_text(errors="replace"), exact=True)
        return verdicts


class Regress(Scripts):
    name = "regress"
    what = "PostgreSQL's regression tests; each script's output is compared"
    folder = "src/test/regress"
    runner = "regress/pg_regress"
    schedule = "parallel_schedule"

    def build(self):
        self.compile(self.cache / "built/regress.so", "-shared", self.cache / "source/src/test/regress/regress.c")

    def libraries(self):
        return [self.cache / "built/regress.so", *(BIN.parent / "lib" / name for name in ("autoinc.so", "refint.so"))]

    def arguments(self, one_at_a_time):
        return ["--max-connections=1"] if one_at_a_time else []


class Isolation(Scripts):
    name = "isolation"
    what = "PostgreSQL's isolation tests: sessions that wait for one another; each specification's output is compared"
    folder = "src/test/isolation"
    runner = "isolation/pg_isolation_regress"
    schedule = "isolation_schedule"
    limit_s = 3600
