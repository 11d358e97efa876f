"""PostgreSQL's own suites, of the release that is installed: the regression tests, and the pipelines of libpq."""

import re
import shutil
import time

from debian import CannotObtain, installed_version, run, unpack
from postgres import BIN
from results import Verdict
from suite import Suite

MAJOR = BIN.parent.name
RUNNER = BIN.parent / "lib/pgxs/src/test/regress/pg_regress"
# Of the source package: unpacked once for all of them.
PARTS = ("src/test/regress", "src/test/modules/libpq_pipeline")


class FromSources(Suite):
    def __init__(self, cache, debian):
        super().__init__(cache.parent / "postgresql", debian)

    def obtain(self):
        version = installed_version(f"postgresql-{MAJOR}")
        self.made(f"{version} {' '.join(PARTS)}", lambda: self._make(version))
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
            # Each round in a database of its own: what an earlier one left there would be told.
            database = f"round_{rounds}"
            self.psql(target.port, f"CREATE DATABASE {database}")
            for name in names:
                now = self._one(target, program, name, out / name, database)
                # The first round is kept, unless a later one is unlike it: then that one is.
                if now.equals(verdicts.setdefault(name, now)) or name in odd:
                    continue
                verdicts[name] = now
                odd.add(name)
        return verdicts

    def _one(self, target, program, name, trace, database):
        # PostgreSQL has no trace of those where it depends on timing what libpq sends together, and they are long.
        exact = (self.cache / f"source/src/test/modules/libpq_pipeline/traces/{name}.trace").exists()
        log = f"{trace.parent.name}-{name}"
        code = self.program(target, log, [program, *(["-t", trace] if exact else []), name,
                                          f"host=127.0.0.1 port={target.port} user=postgres dbname={database}"])
        said = trace.read_text(errors="replace") if trace.exists() else ""
        return Verdict("passed" if code == 0 else "failed", said + self.log_of(target, log), exact)


class Regress(FromSources):
    name = "regress"
    what = "PostgreSQL's regression tests; each script's output is compared"

    def build(self):
        self.compile(self.cache / "built/regress.so", "-shared", self.cache / "source/src/test/regress/regress.c")

    def run(self, target, one_at_a_time):
        source, library, out = (target.folder(name) for name in ("source", "library", "out"))
        # Where the server can read it, whoever may enter our cache.
        shutil.copytree(self.cache / "source/src/test/regress", source, dirs_exist_ok=True)
        for path in (self.cache / "built/regress.so", *(BIN.parent / "lib" / name for name in ("autoinc.so", "refint.so"))):
            shutil.copy(path, library)
        schedule = source / "parallel_schedule"
        # As the server's user, for the server writes into the same folders.
        self.program(target, self.name, [
            RUNNER, f"--inputdir={source}", f"--outputdir={out}", f"--bindir={BIN}", f"--dlpath={library}", "--host=127.0.0.1",
            f"--port={target.port}", "--user=postgres", f"--schedule={schedule}", *(["--max-connections=1"] if one_at_a_time else [])],
            cwd=out, user=target.user)
        told = self.log_of(target, self.name)
        verdicts = {}
        for name in scheduled(schedule.read_text()):
            written = out / "results" / f"{name}.out"
            ended = re.search(rf"^(?:test)?\s+{re.escape(name)}\s+\.\.\. (ok|FAILED)", told, re.MULTILINE)
            if written.exists() and ended:
                verdicts[name] = Verdict("passed" if ended.group(1) == "ok" else "failed", written.read_text(errors="replace"), exact=True)
        return verdicts


def scheduled(schedule):
    """The tests of a schedule, in its order."""
    return [name for line in schedule.splitlines() if line.startswith("test:") for name in line.split()[1:]]
