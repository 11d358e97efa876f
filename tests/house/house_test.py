#!/usr/bin/env python3
"""The house checks against small good and bad trees: a check that cannot fail is worth nothing."""

import pathlib
import sys
import tempfile
import unittest
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
# The checkers run from a read-only checkout too.
sys.dont_write_bytecode = True

import clock  # noqa: E402
import count_tests  # noqa: E402
import docs  # noqa: E402
import headers  # noqa: E402
import hygiene  # noqa: E402
import layers  # noqa: E402
from source import code_only, includes  # noqa: E402


class Tree(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)

    def write(self, path, text):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def findings(self, module, **arguments):
        return [f"{one.path}:{one.line} {one.what}" for one in module.check(self.root, **arguments)]

    def assert_one(self, found, start, part):
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith(start), found)
        self.assertIn(part, found[0])


class Source(unittest.TestCase):
    def test_comments_and_strings_are_no_code(self):
        self.assertNotIn("rand", code_only('int a; // rand()\n/* rand\n() */ auto s = "rand()"; auto r = R"x(rand)")x";'))
        self.assertEqual(code_only("a /* x\ny */ b").count("\n"), 1)

    def test_digit_separators_are_no_character_literals(self):
        self.assertIn("rand", code_only("int a = 1'000'000; int b = rand(); int c = 2'000;"))

    def test_an_include_in_a_comment_is_none(self):
        self.assertEqual(includes('// #include "a.hpp"\n#  include "b/c.hpp"\n#include <x>\n'),
                         [(2, "b/c.hpp", True), (3, "x", False)])


class Layers(Tree):
    def setUp(self):
        super().setUp()
        for header in ("base/result.hpp", "domain/event.hpp", "io/rpc.hpp", "decide/step.hpp", "observe/source.hpp",
                       "proxy/gate.hpp", "kinds/kind.hpp", "kinds/http/http.hpp", "kinds/http/wire.hpp", "engine/hands.hpp",
                       "config/config.hpp", "api/api.hpp", "sim/sim.hpp", "app/app.hpp"):
            self.write(f"src/{header}", "")

    def test_down_is_allowed(self):
        self.write("src/engine/cycle.cpp", '#include "engine/hands.hpp"\n#include "kinds/kind.hpp"\n#include "decide/step.hpp"\n')
        self.write("src/app/kinds.cpp", '#include "kinds/http/http.hpp"\n#include "sim/sim.hpp"\n')
        self.write("src/kinds/http/http.cpp", '#include "kinds/http/wire.hpp"\n#include "kinds/kind.hpp"\n')
        self.assertEqual(self.findings(layers), [])

    def test_up_is_refused(self):
        self.write("src/base/log.cpp", '\n#include "domain/event.hpp"\n')
        self.assert_one(self.findings(layers), "src/base/log.cpp:2", "above it")

    def test_siblings_are_refused(self):
        self.write("src/observe/x.cpp", '#include "decide/step.hpp"\n')
        self.assert_one(self.findings(layers), "src/observe/x.cpp:1", "siblings")

    def test_domain_and_io_never_meet(self):
        self.write("src/domain/x.cpp", '#include "io/rpc.hpp"\n')
        self.write("src/io/x.cpp", '#include "domain/event.hpp"\n')
        self.assertEqual(len(self.findings(layers)), 2)

    def test_pure_rooms_see_no_io(self):
        self.write("src/decide/x.cpp", '#include "io/rpc.hpp"\n#include "domain/event.hpp"\n#include <thread>\n#include <map>\n')
        found = self.findings(layers)
        self.assertEqual(len(found), 2, found)
        self.assertIn("pure", found[0])
        self.assertIn("<thread>", found[1])

    def test_pure_rooms_link_no_io(self):
        self.write("src/decide/CMakeLists.txt", "foreshadow_library(decide DEPS base domain io LIBS nlohmann_json::nlohmann_json)\n")
        self.assert_one(self.findings(layers), "src/decide/CMakeLists.txt:1", "links io")

    def test_a_part_of_a_room_is_the_room(self):
        self.write("src/kinds/http/CMakeLists.txt", "foreshadow_library(kinds/http DEPS base kinds/http/wire)\n")
        self.assertEqual(self.findings(layers), [])
        self.write("src/kinds/http/CMakeLists.txt", "foreshadow_library(kinds/http DEPS base kinds/postgres/wire)\n")
        self.assert_one(self.findings(layers), "src/kinds/http/CMakeLists.txt:1", "kinds never")

    def test_the_data_plane_knows_nothing_of_risk(self):
        self.write("src/proxy/x.cpp", '#include "decide/step.hpp"\n')
        self.assert_one(self.findings(layers), "src/proxy/x.cpp:1", "data plane")

    def test_kinds_never_include_each_other(self):
        self.write("src/kinds/postgres/x.cpp", '#include "kinds/http/wire.hpp"\n')
        self.assert_one(self.findings(layers), "src/kinds/postgres/x.cpp:1", "kinds never include each other")

    def test_the_engine_sees_only_the_port(self):
        self.write("src/engine/x.cpp", '#include "kinds/http/http.hpp"\n')
        self.assert_one(self.findings(layers), "src/engine/x.cpp:1", "only through kinds/kind.hpp")

    def test_sim_does_not_see_app(self):
        self.write("src/sim/x.cpp", '#include "app/app.hpp"\n')
        self.assert_one(self.findings(layers), "src/sim/x.cpp:1", "siblings")

    def test_the_table_people_read_is_the_table_checked(self):
        rows = [f"| {floor} | `src/{room}{'/kind.hpp' if room == 'kinds' else ''}` | x |" for room, floor in layers.FLOORS.items()]
        table = "\n".join(["# Floors", *rows, "| 5 | `src/kinds/<kind>` | x |", ""])
        self.write("docs/ARCHITECTURE.md", table)
        self.assertEqual(self.findings(layers), [])
        self.write("docs/ARCHITECTURE.md", table.replace("| 3 | `src/proxy`", "| 2 | `src/proxy`"))
        self.assert_one(self.findings(layers), "docs/ARCHITECTURE.md:", "src/proxy on 2, the check on 3")

    def test_unknown_rooms_and_headers_are_refused(self):
        self.write("src/util/x.cpp", "")
        self.write("src/base/y.cpp", '#include "resul.hpp"\n#include "base/gone.hpp"\n#include <base/result.hpp>\n')
        self.assertEqual(len(self.findings(layers)), 4)

    def test_libraries_stay_at_home(self):
        self.write("src/io/x.cpp", "#include <boost/asio.hpp>\n")
        self.write("src/io/y.hpp", "#include <nlohmann/json.hpp>\n")
        self.write("src/io/y.cpp", "#include <nlohmann/json.hpp>\n")
        self.assertEqual(len(self.findings(layers)), 2)

    def test_examples_see_only_base(self):
        self.write("examples/shop/http.hpp", "")
        self.write("examples/shop/x.cpp", '#include "base/result.hpp"\n#include "shop/http.hpp"\n#include "domain/event.hpp"\n')
        self.assert_one(self.findings(layers), "examples/shop/x.cpp:3", "example")


class Clock(Tree):
    def test_the_wall_clock_is_refused_below_app(self):
        for call in ("std::chrono::system_clock::now()", "time(nullptr)", "::time(&t)", "gettimeofday(&t, nullptr)",
                     "clock_gettime(CLOCK_REALTIME, &t)", "std::localtime(&t)"):
            self.write("src/io/x.cpp", f"\nauto x = {call};\n")
            found = self.findings(clock)
            self.assertTrue(found and found[0].startswith("src/io/x.cpp:2"), (call, found))

    def test_chance_is_refused_below_app(self):
        for call in ("std::random_device{}()", "rand()", "std::rand()", "srand(1)", "getrandom(p, 8, 0)", "RAND_bytes(p, 8)",
                     'open("/dev/urandom", O_RDONLY)'):
            self.write("src/proxy/x.cpp", f"auto x = {call};\n")
            self.assertTrue(self.findings(clock), call)

    def test_lookalikes_pass(self):
        self.write("src/io/x.cpp", "#include <ctime>\n// rand() and time(nullptr)\nauto a = randomize(); auto b = run_time(0); auto c = x.time(0);\n"
                                   "auto d = operand(1); using T = std::chrono::steady_clock;\n")
        self.assertEqual(self.findings(clock), [])

    def test_the_monotonic_clock_reaches_no_decision(self):
        for room in ("domain", "foresee", "decide", "learn", "engine"):
            self.write(f"src/{room}/x.cpp", "auto t = std::chrono::steady_clock::now();\n")
        self.write("src/io/x.cpp", "auto t = std::chrono::steady_clock::now();\n")
        self.assertEqual(len(self.findings(clock)), 5)

    def test_an_exception_no_longer_needed_is_a_finding(self):
        with unittest.mock.patch.object(clock, "ALLOWED", {("src/io/x.cpp", "getrandom"): "reason"}):
            self.write("src/io/x.cpp", "auto x = getrandom(p, 8, 0);\n")
            self.assertEqual(self.findings(clock), [])
            self.write("src/io/x.cpp", "int x;\n")
            self.assert_one(self.findings(clock), "src/io/x.cpp:1", "no longer")

    def test_app_may(self):
        self.write("src/app/clock.cpp", "auto t = std::chrono::system_clock::now(); std::random_device r;\n")
        self.assertEqual(self.findings(clock), [])


class Headers(Tree):
    def test_a_header_must_stand_alone(self):
        self.write("src/base/good.hpp", "#pragma once\n#include <string>\ninline std::string f() { return {}; }\n")
        self.write("src/base/bad.hpp", "#pragma once\n\ninline std::string f() { return {}; }\n")
        self.assert_one(self.findings(headers), "src/base/bad.hpp:3", "does not compile alone")

    def test_including_twice_is_part_of_it(self):
        self.write("src/base/twice.hpp", "struct A {};\n")
        self.assert_one(self.findings(headers), "src/base/twice.hpp:1", "redefinition")

    def test_what_the_build_proves_is_not_compiled_again(self):
        self.write("src/base/bad.hpp", "#pragma once\n\ninline std::string f() { return {}; }\n")
        self.write("src/base/bad.cpp", '#include "base/bad.hpp"\n')
        self.assertEqual(self.findings(headers), [])
        self.write("src/base/bad.cpp", '#include <string>\n\n#include "base/bad.hpp"\n')
        self.assert_one(self.findings(headers), "src/base/bad.hpp:3", "does not compile alone")

    def test_a_precompiled_header_proves_nothing_about_asio(self):
        self.write("src/proxy/CMakeLists.txt", "foreshadow_library(proxy PCH ${PROJECT_SOURCE_DIR}/src/proxy/pch.hpp)\n")
        self.write("src/proxy/pch.hpp", "#pragma once\nnamespace asio { using any = int; }\n")
        self.write("src/proxy/x.hpp", "#pragma once\ninline asio::any f() { return 0; }\n")
        self.write("src/proxy/x.cpp", '#include "proxy/x.hpp"\n')
        self.assert_one(self.findings(headers), "src/proxy/x.hpp:1", "uses Boost.Asio")
        self.write("src/proxy/x.hpp", "#pragma once\n#include <string>\ninline std::strin f() { return {}; }\n")
        self.assert_one(self.findings(headers), "src/proxy/x.hpp:3", "does not compile alone")

    def test_a_change_below_is_seen_through_the_cache(self):
        self.write("src/base/low.hpp", "#pragma once\nusing Low = int;\n")
        self.write("src/base/high.hpp", '#pragma once\n#include "base/low.hpp"\ninline Low f() { return 0; }\n')
        cache = self.root / "cache.json"
        self.assertEqual(self.findings(headers, cache=cache), [])
        with unittest.mock.patch.object(headers, "compile_alone", side_effect=AssertionError("compiled again")):
            self.assertEqual(self.findings(headers, cache=cache), [])
        self.write("src/base/low.hpp", "#pragma once\nusing Lower = int;\n")
        self.assert_one(self.findings(headers, cache=cache), "src/base/high.hpp:3", "Low")
        self.assert_one(self.findings(headers, cache=cache), "src/base/high.hpp:3", "Low")


class Docs(Tree):
    def test_links_commands_and_paths(self):
        self.write("docs/there.md", "# Some `code` here\n")
        self.write("tools/commands/test.sh", "")
        self.write("README.md", "[a](docs/there.md) [b](docs/there.md#some-code-here) [c](https://example.org/x) `./dev test`\n"
                                "[d](docs/gone.md)\n[e](docs/there.md#other)\n`./dev fly`\n`docs/there.md` `src/gone.cpp` `src/<kind>`\n"
                                "```\n[f](nowhere)\n```\n")
        found = self.findings(docs)
        self.assertEqual([one.split(" ")[0] for one in found], ["README.md:2", "README.md:3", "README.md:5", "README.md:4"], found)


class Hygiene(Tree):
    def setUp(self):
        super().setUp()
        self.write("LICENSE", "Apache License\nVersion 2.0, January 2004\n")

    def test_a_clean_tree_passes(self):
        self.write("src/base/x.hpp", "// What it is.\n#pragma once\n")
        self.write("docs/x.md", "a line break  \nhere\n")
        self.assertEqual(self.findings(hygiene), [])

    def test_the_licence_must_be_there(self):
        (self.root / "LICENSE").unlink()
        self.assert_one(self.findings(hygiene), "LICENSE:1", "licence")

    def test_each_habit(self):
        for path, text, part in (
            ("src/a/x.cpp", "int a;\n// TO" + "DO: later\n", "x.cpp:2 TO" + "DO"),
            ("src/a/x.cpp", "int a; \n", "trailing"),
            ("src/a/x.cpp", "int a;", "newline"),
            ("src/a/x.cpp", "int a;\r\n", "carriage"),
            ("src/a/x.cpp", "\tint a;\n", "tab"),
            ("src/a/x.cpp", "<<<<<<< ours\n", "conflict"),
            ("src/a/x.cpp", "int a;\n" * 701, "701 lines"),
            ("tests/a/x.cpp", "TEST(A, DISABLED" + "_b) {}\n", "switched off"),
            ("src/a/x.hpp", "// What it is.\n", "pragma once"),
            ("src/a/x.hpp", "#pragma once\n", "open"),
        ):
            self.write(path, text)
            found = self.findings(hygiene)
            self.assertTrue(any(part in one for one in found), (part, found))
            (self.root / path).unlink()


class Count(Tree):
    def count(self, *arguments):
        tally_path = self.root / "out"
        with open(tally_path, "w") as out:
            stdout, sys.stdout = sys.stdout, out
            try:
                code = count_tests.main(["--ctest", str(self.root / "ctest.xml"), "--gtest", str(self.root / "report"), *arguments])
            finally:
                sys.stdout = stdout
        return code, tally_path.read_text().splitlines()

    def ctest(self, **statuses):
        body = "".join(f'<testcase name="{name}" status="{status}">{"<failure/>" if status == "fail" else ""}</testcase>'
                       for name, status in statuses.items())
        self.write("ctest.xml", f"<testsuite>{body}</testsuite>")

    def gtest(self, name, *oks):
        body = "".join(f'<testcase name="c{n}" classname="S" status="run" result="completed">{"" if ok else "<failure/>"}</testcase>'
                       for n, ok in enumerate(oks))
        self.write(f"report/{name}.xml", f"<testsuites><testsuite>{body}</testsuite></testsuites>")

    def test_cases_and_plain_entries_count_alike(self):
        self.ctest(base="run", house="run")
        self.gtest("base", True, True)
        self.assertEqual(self.count(), (0, ["3 passed, 0 failed"]))

    def test_a_failed_case_is_named(self):
        self.ctest(base="fail")
        self.gtest("base", True, False)
        self.assertEqual(self.count(), (1, ["FAILED: S.c1", "1 passed, 1 failed"]))

    def test_a_runner_that_fails_after_its_cases_is_a_failure(self):
        self.ctest(base="fail")
        self.gtest("base", True)
        code, lines = self.count()
        self.assertEqual((code, lines[-1]), (1, "1 passed, 1 failed"))

    def test_a_runner_that_died_is_a_failure(self):
        self.ctest(base="fail", other="notrun")
        self.assertEqual(self.count()[1][-1], "0 passed, 2 failed")
        self.write("report/base.xml", "<testsuites><tests")
        self.assertEqual(self.count()[1][-1], "0 passed, 2 failed")

    def test_no_report_is_a_failure(self):
        self.assertEqual(self.count()[1][-1], "0 passed, 1 failed")

    def test_steps_and_scenes(self):
        self.ctest(base="run")
        self.write("scenes.json", '{"ok": true, "scenes": [{"name": "leak"}, {"name": "disk"}]}')
        scenes = ("--scenes", str(self.root / "scenes.json"), "--step", "simulator")
        self.assertEqual(self.count(*scenes)[1][-1], "4 passed, 0 failed")
        self.assertEqual(self.count(*scenes, "--failed=simulator")[1][-1], "3 passed, 1 failed")
        self.assertEqual(self.count(*scenes, "--failed=build-dev")[1][-1], "4 passed, 1 failed")
        self.assertEqual(self.count(*scenes, "--failed=scenes")[1][-1], "4 passed, 1 failed")
        self.write("scenes.json", '{"ok": false, "scenes": [{"name": "leak", "ok": true}, {"name": "disk", "ok": false}]}')
        self.assertEqual(self.count(*scenes, "--failed=scenes")[1][-1], "3 passed, 1 failed")
        (self.root / "scenes.json").unlink()
        self.assertEqual(self.count(*scenes, "--failed=scenes")[1][-1], "2 passed, 1 failed")


if __name__ == "__main__":
    unittest.main()
