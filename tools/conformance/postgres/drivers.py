"""Suites of drivers: psycopg 3 (Python), pgx (Go), node-postgres (JavaScript). What is compared is how each test ended."""

import collections
import json
import os
import pathlib
import re
import shutil
import xml.etree.ElementTree

from debian import CannotObtain, run, unpack
from results import Verdict
from suite import Suite

HERE = pathlib.Path(__file__).resolve().parent


class Psycopg(Suite):
    name = "psycopg"
    what = "psycopg 3, of Debian's source package"
    limit_s = 900

    def obtain(self):
        def make():
            fetched = self.cache / "fetched"
            shutil.rmtree(self.cache / "source", ignore_errors=True)
            shutil.rmtree(fetched, ignore_errors=True)
            self.debian.source("psycopg3", None, fetched)
            unpack(fetched, "psycopg3_*.orig.tar.*", self.cache / "source")
            shutil.rmtree(fetched)

        self.made("1", make)

    def run(self, target, one_at_a_time):
        source = self.cache / "source"
        report = target.stage.dir / "psycopg.xml"
        self.program(
            target, "psycopg",
            # Debian's Python and its pytest: the versions that this release of psycopg was made with.
            ["/usr/bin/python3", "-B", "-m", "pytest", "tests", "-q", "-p", "no:cacheprovider", "-m", "not slow and not mypy and not timing",
             "--test-dsn", f"host=127.0.0.1 port={target.port} user=postgres dbname=postgres", f"--junit-xml={report}"],
            cwd=source, environment={"PSYCOPG_IMPL": "python", "PYTHONPATH": f"{source}/psycopg:{source}/psycopg_pool"})
        if not report.exists():
            raise CannotObtain(f"pytest wrote no report: {target.stage.log_tail('psycopg', 5)}")
        return of_junit(report)


def of_junit(report):
    """{test: Verdict} of pytest's report; an expected failure counts as skipped, as there."""
    verdicts = {}
    for case in xml.etree.ElementTree.parse(report).getroot().iter("testcase"):
        bad = [part for part in case if part.tag in ("failure", "error")]
        outcome = "failed" if bad else "skipped" if case.find("skipped") is not None else "passed"
        text = "\n".join(f"{part.get('message', '')}\n{part.text or ''}" for part in bad)
        verdicts[f"{case.get('classname')}.{case.get('name')}"] = Verdict(outcome, text)
    return verdicts


class Pgx(Suite):
    name = "pgx"
    what = "pgx (Go), from the module proxy"
    limit_s = 900

    def obtain(self):
        go = shutil.which("go")
        if go is None:
            raise CannotObtain("no go in the PATH: apt-get install golang-go")
        pinned = HERE / "pgx"

        def make():
            shutil.rmtree(self.cache / "source", ignore_errors=True)
            about = json.loads(run([go, "mod", "download", "-json", "github.com/jackc/pgx/v5"], cwd=pinned, env=self._environment()))
            shutil.copytree(about["Dir"], self.cache / "source")
            run(["chmod", "-R", "u+w", self.cache / "source"])
            # Everything is fetched and built here, so that a run needs no network and times nothing but tests.
            run([go, "test", "-count=1", "-run", "^$", "./..."], cwd=self.cache / "source", env=self._environment())

        self.made((pinned / "go.sum").read_text(), make)

    def _environment(self):
        return {**os.environ, "GOPATH": str(self.cache / "go"), "GOCACHE": str(self.cache / "gocache"), "GOTOOLCHAIN": "local",
                "GOFLAGS": "-modcacherw -mod=mod"}

    def run(self, target, one_at_a_time):
        self.psql(target.primary, "CREATE DATABASE pgx_test")
        setup = (self.cache / "source/testsetup/postgresql_setup.sql").read_text()
        self.psql(target.primary, *[line for line in re.split(r";\s*\n", re.sub(r"^--.*$", "", setup, flags=re.MULTILINE)) if line.strip()],
                  database="pgx_test")
        self.program(
            target, "pgx", ["go", "test", "-count=1", "-p", "1", "-json", "-timeout", f"{self.limit_s - 60}s", "./..."],
            cwd=self.cache / "source",
            environment={**self._environment(), "PGDATABASE": "pgx_test",
                         "PGX_TEST_DATABASE": f"host=127.0.0.1 port={target.port} user=postgres database=pgx_test",
                         "PGX_TEST_TCP_CONN_STRING": f"host=127.0.0.1 port={target.port} user=postgres database=pgx_test"})
        return of_go(self.log_of(target, "pgx").splitlines())


def of_go(lines):
    """{package.Test: Verdict} of `go test -json`. A test that has tests within counts by those."""
    ended, said = {}, collections.defaultdict(list)
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        test = event.get("Test")
        if test is None:
            continue
        name = f"{event['Package'].rsplit('/v5', 1)[-1].strip('/') or 'pgx'}.{test}"
        if event["Action"] == "output":
            said[name].append(event["Output"])
        elif event["Action"] in ("pass", "fail", "skip"):
            ended[name] = {"pass": "passed", "fail": "failed", "skip": "skipped"}[event["Action"]]
    parents = {name.rsplit("/", 1)[0] for name in ended if "/" in name}
    return {name: Verdict(outcome, "".join(said[name])) for name, outcome in ended.items() if name not in parents}


class Node(Suite):
    name = "node"
    what = "node-postgres' integration tests, of Debian's source package"
    limit_s = 60  # of one file

    def obtain(self):
        npm = shutil.which("npm")
        if npm is None:
            raise CannotObtain("no npm in the PATH: apt-get install nodejs npm")

        def make():
            fetched, source = self.cache / "fetched", self.cache / "source"
            shutil.rmtree(source, ignore_errors=True)
            shutil.rmtree(fetched, ignore_errors=True)
            self.debian.source("node-postgres", None, fetched)
            unpack(fetched, "node-postgres_*.orig.tar.*", source)
            shutil.rmtree(fetched)
            # What it requires comes from npm, which checks it; scripts of packages are not run.
            home = source / "packages/pg"
            run([npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=optional", "--no-package-lock", "--prefix", home], cwd=home)

        self.made("1", make)

    def run(self, target, one_at_a_time):
        home = self.cache / "source/packages/pg"
        words = [f"postgres://postgres@127.0.0.1:{target.port}/postgres"]
        environment = {"NODE_PATH": str(home / "node_modules"), "PGTESTNOSSL": "1"}
        self.program(target, "node-setup", ["node", "script/create-test-tables.js", *words], cwd=home, environment=environment)
        verdicts = {}
        for path in sorted(home.glob("test/integration/**/*-tests.js")):
            name = str(path.relative_to(home / "test/integration"))
            log = "node-" + re.sub(r"\W", "-", name)
            code = self.program(target, log, ["node", path, *words], cwd=home, environment=environment)
            verdicts[name] = Verdict("passed" if code == 0 else "failed", self.log_of(target, log))
        return verdicts
