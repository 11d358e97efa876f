#!/usr/bin/env python3
"""Tests of what `./dev conformance postgres` says: names of differences, what counts as equal, reasons of refusals."""

import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
for folder in ("tools/conformance/postgres", "tests/integration", "examples/demo"):
    sys.path.insert(0, str(ROOT / folder))

import classify  # noqa: E402
import debian  # noqa: E402
import handovers  # noqa: E402
import main  # noqa: E402
import results  # noqa: E402
from postgresql import scheduled  # noqa: E402
from results import Verdict, compare  # noqa: E402

TABLE = """ id | name
----+------
  1 | one
  2 | two
(2 rows)
"""


def name(direct, through, count=0):
    return classify.classify(direct, through, count)[0]


class Names(unittest.TestCase):
    def test_what_nothing_explains_has_no_name(self):
        self.assertEqual(name("1\n", "2\n"), classify.UNEXPLAINED)
        self.assertIn("'1' became '2'", classify.classify("1\n", "2\n")[1])

    def test_wider_columns_are_blanks(self):
        self.assertEqual(name("a | b\n--+--\n", "a  |  b\n---+----\n"), classify.BLANKS)

    def test_a_lost_connection_outranks_the_rest(self):
        through = TABLE.replace("  2 | two\n", "") + "server closed the connection unexpectedly\n"
        self.assertEqual(name(TABLE, through, 3), classify.CONNECTION)
        self.assertEqual(name("", "FATAL:  08007: connection to the server was lost before its answer came\n"), classify.CONNECTION)

    def test_a_test_that_is_about_lost_connections_has_none_of_it(self):
        said = "FATAL:  terminating connection due to administrator command\n"
        self.assertEqual(name(said + "1\n", said + "2\n"), classify.UNEXPLAINED)

    def test_much_text_is_looked_at_in_time(self):
        many = [f"line {number}" for number in range(3_000)]
        self.assertEqual(name("\n".join(many), "\n".join(many[:1_500] + ["other"] + many[1_501:])), classify.UNEXPLAINED)
        self.assertEqual(name("\n".join(many), "\n".join(reversed(many))), classify.ORDER)

    def test_what_is_common_is_cut_and_the_rest_is_kept(self):
        self.assertEqual(classify._core(list("aab"), list("aaab")), ([], ["a"]))
        self.assertEqual(classify._core(list("abc"), list("abc")), ([], []))
        self.assertEqual(classify._core(list("axc"), list("ayyc")), (["x"], ["y", "y"]))

    def test_order(self):
        self.assertEqual(name("a\nb\n", "b\na\n"), classify.ORDER)

    def test_one_thing_that_is_not_looked_at(self):
        self.assertEqual(name("PID: 4711\n", "PID: 4712\n"), "process id")
        self.assertEqual(name("received from server process with PID 1.\n", "received from server process with PID 22.\n"), "process id")
        self.assertEqual(name("at 0/16B3748\n", "at 0/16B3750\n"), "log position")
        self.assertEqual(name("Time: 0.3 ms\n", "Time: 12.1 ms\n"), "time")
        self.assertEqual(name("2026-01-01 00:00:00.1+00\n", "2026-01-01 00:00:01+00\n"), "time")

    def test_several_of_them(self):
        self.assertEqual(name("PID 1 at 0/1\n", "PID 2 at 0/2\n"), "process id and log position")

    def test_a_name_explains_all_or_is_not_given(self):
        self.assertEqual(name("PID 1\nsum 7\n", "PID 2\nsum 8\n"), classify.UNEXPLAINED)
        self.assertEqual(name("PID 1\nx\n", "PID 2\n"), classify.UNEXPLAINED)

    def test_a_sequence_jumps_only_where_a_handover_was(self):
        direct, through = " 1 | a\n 2 | b\n", " 1 | a\n 34 | b\n"
        self.assertEqual(name(direct, through), classify.UNEXPLAINED)
        self.assertEqual(name(direct, through, 1), classify.SEQUENCE)

    def test_a_sequence_jumps_no_further_and_never_back(self):
        self.assertEqual(name("2\n", "35\n", 1), classify.UNEXPLAINED)
        self.assertEqual(name("2\n", "35\n", 2), classify.SEQUENCE)
        self.assertEqual(name("2\n", "1\n", 2), classify.UNEXPLAINED)

    def test_object_ids_keep_their_order(self):
        self.assertEqual(name("16384 a\n16390 b\n16384 c\n", "24576 a\n24582 b\n24576 c\n", 1), classify.OID)
        self.assertEqual(name("16384 a\n16390 b\n", "24582 a\n24576 b\n", 1), classify.UNEXPLAINED)
        self.assertEqual(name("16384 a\n16384 b\n", "24576 a\n24577 b\n", 1), classify.UNEXPLAINED)
        self.assertEqual(name("1638 a\n", "24576 a\n", 1), classify.UNEXPLAINED)
        self.assertEqual(name("16384 a\n", "24576 a\n"), classify.UNEXPLAINED)

    def test_rows_that_are_gone(self):
        gone = TABLE.replace("  1 | one\n  2 | two\n(2 rows)", "(0 rows)")
        self.assertEqual(name(TABLE, gone, 1), classify.EMPTY)
        self.assertEqual(name(TABLE, gone), classify.UNEXPLAINED)
        self.assertEqual(name(TABLE, gone.replace("(0 rows)", "(0 rows)\nERROR:  x"), 1), classify.UNEXPLAINED)
        self.assertEqual(name(TABLE, TABLE.replace("  2 | two\n(2 rows)", "(1 row)"), 1), classify.UNEXPLAINED)

    def test_another_plan(self):
        direct = " Sort\n   ->  Seq Scan on a\n(2 rows)\n"
        through = " Index Only Scan using i on a\n(1 row)\n"
        self.assertEqual(name(direct, through, 1), classify.PLAN)
        self.assertEqual(name(direct + "1\n", through + "2\n", 1), classify.UNEXPLAINED)

    def test_every_name_is_explained(self):
        for one in (classify.UNEXPLAINED, classify.CONNECTION, classify.BLANKS, classify.ORDER, classify.PLAN, classify.SEQUENCE,
                    classify.EMPTY, classify.OID, *classify._BLIND, results.UNSTABLE, results.LOST):
            self.assertTrue(results.WHY[one])


class Comparing(unittest.TestCase):
    def test_equal_to_any_direct_run_is_equal(self):
        seen = [{"a": Verdict("passed", "1", True)}, {"a": Verdict("passed", "2", True)}]
        self.assertEqual(compare(seen, {"a": Verdict("passed", "2", True)}).differences, [])
        self.assertEqual(compare(seen, {"a": Verdict("passed", "3", True)}).differences[0].name, results.UNSTABLE)

    def test_texts_count_only_where_they_are_exact(self):
        direct = [{"a": Verdict("failed", "took 1 s")}]
        self.assertEqual(compare(direct, {"a": Verdict("failed", "took 2 s")}).equal, 1)
        changed = compare(direct, {"a": Verdict("passed", "")}).differences[0]
        self.assertIn("failed directly, passed through the gateway", changed.detail)

    def test_an_exact_text_with_another_outcome_differs(self):
        self.assertEqual(compare([{"a": Verdict("passed", "x", True)}], {"a": Verdict("failed", "x", True)}).equal, 0)

    def test_what_was_not_run_is_a_difference(self):
        one = {"a": Verdict("passed")}
        both = {**one, "b": Verdict("passed")}
        self.assertEqual([d.name for d in compare([both], one).differences], [results.LOST])
        self.assertEqual([d.name for d in compare([one], both).differences], [results.LOST])
        self.assertEqual(compare([both], one).tests, 2)

    def test_the_counts(self):
        said = compare([{"a": Verdict("failed"), "b": Verdict("passed")}], {"a": Verdict("failed"), "b": Verdict("failed")})
        self.assertEqual((said.tests, said.equal, said.failed_direct, said.failed_through), (2, 1, 1, 2))


class Refusals(unittest.TestCase):
    def test_each_reason_of_the_gateway(self):
        why = "hold failed (refused): edge: sessions cannot follow a handover: temporary table (2), session advisory lock (1)"
        self.assertEqual(handovers.reasons_of(why), ["temporary table", "session advisory lock"])

    def test_each_reason_of_the_controller(self):
        self.assertEqual(handovers.reasons_of("3 sessions cannot be moved: LISTEN (3)"), ["LISTEN"])

    def test_over_budget(self):
        why = "hold failed (timeout): edge: 2 still in flight when the budget ended; released"
        self.assertEqual(handovers.reasons_of(why), [handovers.OVER_BUDGET])

    def test_anything_else_in_its_own_words_without_numbers(self):
        self.assertEqual(handovers.reasons_of("equality not proven (timeout): 0/16B at 12"), ["equality not proven (timeout): #/#B at #"])


class Schedules(unittest.TestCase):
    def test_schedules(self):
        self.assertEqual(scheduled("# comment\ntest: a b\n\ntest: c\nignore: d\n"), ["a", "b", "c"])


class Lists(unittest.TestCase):
    def test_only_debian_s_own_and_sources_too(self):
        lines = debian.list_lines("Debian|http://d/debian/|bookworm|main\nOther|http://o/|x|main\nDebian|http://d/debian/|bookworm|main\n")
        self.assertEqual([line.split()[0] for line in lines], ["deb", "deb-src"])
        self.assertTrue(all("signed-by=" in line and line.endswith("http://d/debian/ bookworm main") for line in lines))


class Table(unittest.TestCase):
    def test_rows(self):
        done = main.Row("regress", comparison=compare([{"a": Verdict("passed")}], {"a": Verdict("passed")}), handovers_every_s=2)
        done.tally.attempts, done.tally.done = 5, 3
        lines = main.table([done, main.Row("other", skipped="no network")])
        self.assertEqual(lines[1].split(), ["regress", "1", "1", "0", "0", "/", "0", "3", "2"])
        self.assertEqual(main.Row("other", skipped="no network").as_json(), {"suite": "other", "skipped": "no network"})

    def test_a_suite_that_is_not_there(self):
        with self.assertRaises(SystemExit):
            main.parse(["nosuch"])


if __name__ == "__main__":
    unittest.main()
