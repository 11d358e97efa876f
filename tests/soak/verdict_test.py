#!/usr/bin/env python3
"""Tests of the soak's arithmetic: what it calls flat, and what not."""

import math
import random
import unittest

import verdict

MIB = 1 << 20


def samples(of, count=60):
    return [(5.0 * i, of(i)) for i in range(count)]


class Memory(unittest.TestCase):
    def flat(self, of, count=60):
        return verdict.judge_memory(samples(of, count))["flat"]

    def test_what_stays_is_flat(self):
        self.assertTrue(self.flat(lambda i: 30 * MIB))

    def test_what_goes_up_and_down_is_flat(self):
        chance = random.Random(1)
        self.assertTrue(self.flat(lambda i: 40 * MIB + 8 * MIB * math.sin(i) + chance.uniform(0, MIB)))

    def test_growth_at_first_is_no_leak(self):
        self.assertTrue(self.flat(lambda i: min(30 * MIB, 10 * MIB + i * 3 * MIB)))

    def test_one_peak_makes_no_trend(self):
        self.assertEqual(verdict.judge_memory(samples(lambda i: 30 * MIB + (20 * MIB if i == 57 else 0)))["grown_bytes"], 0)

    def test_a_leak_is_found(self):
        self.assertFalse(self.flat(lambda i: 30 * MIB + i * MIB // 2))

    def test_a_leak_that_begins_late_is_found(self):
        self.assertFalse(self.flat(lambda i: 30 * MIB + max(0, i - 40) * MIB))

    def test_a_leak_in_noise_is_found(self):
        chance = random.Random(2)
        self.assertFalse(self.flat(lambda i: 30 * MIB + i * MIB // 3 + chance.uniform(-2 * MIB, 2 * MIB), 120))

    def test_rests(self):
        self.assertTrue(verdict.judge_rests([10 * MIB, 18 * MIB, 19 * MIB, 18 * MIB])["flat"])
        self.assertFalse(verdict.judge_rests([10 * MIB, 18 * MIB, 19 * MIB, 20 * MIB])["flat"])
        self.assertFalse(verdict.judge_rests([10 * MIB, 18 * MIB])["flat"])

    def test_too_few_samples_are_no_verdict(self):
        with self.assertRaises(ValueError):
            self.flat(lambda i: MIB, verdict.SAMPLES_MIN - 1)


if __name__ == "__main__":
    unittest.main()
