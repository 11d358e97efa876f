#!/usr/bin/env python3
"""Tests of what the benchmarks share: medians, intervals, tables, what /proc says."""

import os
import pathlib
import sys
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
for folder in ("bench/common", "examples/demo"):
    sys.path.insert(0, str(ROOT / folder))

import machine  # noqa: E402
import medians  # noqa: E402
import tables  # noqa: E402


def one_round(**changes):
    return {"rps": 100.0, "p50_ms": 1.0, "failed": 0, **changes}


class Machine(unittest.TestCase):
    def test_processor_time_is_found_behind_any_name(self):
        stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 100 0 0 0 250 150 0 0 20 0 2 0 100 1 1"
        self.assertEqual(machine.cpu_of_stat(stat), (250 / machine._TICKS_PER_S, 150 / machine._TICKS_PER_S))

    def test_memory(self):
        rollup = "00400000-7ffe [rollup]\nRss:    2048 kB\nPss:    1024 kB\nPss_Anon:   512 kB\n"
        self.assertEqual(machine.memory_of_rollup(rollup), (2 << 20, 1 << 20))

    def test_our_own_process_can_be_read(self):
        self.assertGreater(machine.memory_bytes("self")[0], 1 << 20)

    def test_the_clock_of_a_process_is_what_the_kernel_tells_rounded(self):
        before = time.process_time()
        total, user, system = machine.cpu_s(os.getpid())
        self.assertLessEqual(before, total)
        self.assertLessEqual(total, time.process_time())
        self.assertAlmostEqual(total, user + system, delta=0.03)

    def test_the_proxy_sits_alone_wherever_that_is_possible(self):
        for processors in ({0}, {0, 1}, {2, 5, 7}, set(range(8))):
            seats = machine.Seats(processors)
            others = {seats.backend, seats.loader, seats.shadow}
            self.assertLessEqual(others | {seats.proxy}, processors)
            self.assertEqual(seats.proxy in others, len(processors) == 1)
        seats = machine.Seats(range(4))
        self.assertEqual(len({seats.proxy, seats.backend, seats.loader, seats.shadow}), 4)

    def test_two_threads_get_two_processors_that_nobody_else_needs_if_there_are_any(self):
        self.assertEqual(machine.Seats(range(4)).pair, (0, 3))
        self.assertEqual(machine.Seats(range(2)).pair, (0, 1))
        self.assertEqual(machine.Seats({5}).pair, (5,))
        self.assertEqual(machine.Seats.pinned((0, 3), ["x"]), ["taskset", "-c", "0,3", "x"])
        self.assertEqual(machine.Seats.pinned(2, ["x"]), ["taskset", "-c", "2", "x"])


class Medians(unittest.TestCase):
    def test_medians_hide_no_failure(self):
        rounds = [one_round(rps=rps, failed=failed) for rps, failed in ((1, 0), (9, 1), (5, 0), (7, 0), (3, 2))]
        row = medians.median_of(rounds)
        self.assertEqual((row["rps"], row["failed"]), (5, 3))

    def test_medians_leave_out_what_is_not_known(self):
        rounds = [one_round(p99_ms=value) for value in (None, 4.0, 6.0)]
        self.assertEqual(medians.median_of(rounds)["p99_ms"], 5)
        self.assertIsNone(medians.median_of([one_round(p50_ms=None)])["p50_ms"])

    def test_the_interval_of_a_median(self):
        # Five coins fall alike with probability 1/16: the range of five holds the median in 93.75 of 100 cases.
        self.assertEqual(medians.median_interval([5, 1, 4, 2, 3]), (1, 5))
        self.assertEqual(medians.median_interval(list(range(10))), (1, 8))
        self.assertEqual(medians.median_interval(list(range(7))), (0, 6))
        self.assertEqual(medians.median_interval([3]), (3, 3))
        self.assertEqual(medians.median_interval([3, 1]), (1, 3))

    def test_every_round_begins_with_another(self):
        orders = [medians.in_turn(["a", "b", "c"], number) for number in range(4)]
        self.assertEqual(["".join(order) for order in orders], ["abc", "bca", "cab", "abc"])

    def test_nothing_is_divided_by_nothing(self):
        self.assertEqual((medians.ratio(3, 2), medians.ratio(None, 2), medians.ratio(3, 0), medians.ratio(3, None)), (1.5, None, None, None))
        self.assertEqual((medians.difference(3, 2), medians.difference(None, 2), medians.difference(3, None)), (1, None, None))


class Tables(unittest.TestCase):
    ROWS = [{"case": "c", "peer": "foreshadow", "cost": 9.0, "failed": 0}, {"case": "c", "peer": "theirs", "cost": 10.0, "failed": 1},
            {"case": "d", "peer": "theirs", "cost": None, "failed": 0}]
    COLUMNS = (("cost", "CPU", 1), ("failed", "failed", 0))

    def test_ours_over_theirs_where_that_says_something(self):
        lines = tables.table(self.ROWS, self.COLUMNS, ("cost",))
        self.assertEqual(lines[2].split(), ["theirs", "10.0", "[0.90]", "1"])
        self.assertEqual(lines[3].split(), ["theirs", "-", "0"])

    def test_a_row_is_found_by_its_case_and_peer(self):
        self.assertIs(tables.find(self.ROWS, "d", "theirs"), self.ROWS[2])
        self.assertIsNone(tables.find(self.ROWS, "d", "foreshadow"))


if __name__ == "__main__":
    unittest.main()
