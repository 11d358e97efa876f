"""Tests of the demo's pure parts: the story told from a journal, the promises, the table, the provisioners' contract."""

import io
import json
import pathlib
import string
import subprocess
import sys
import tempfile
import types
import unittest

DEMO = pathlib.Path(__file__).resolve().parents[2] / "examples" / "demo"
sys.path.insert(0, str(DEMO))

import report  # noqa: E402
import screen  # noqa: E402
from errors import DemoError  # noqa: E402
from stage import Stage, is_alive, wait_until  # noqa: E402
from story import Story, score_within  # noqa: E402

BEGAN = 1_000_000
POLICY = {"shadowing": {"threshold": 0.5, "horizon": 30_000}, "critical": {"threshold": 0.8, "horizon": 12_000}}


def event(t_s, name, **body):
    return {"seq": 1, "at_ms": BEGAN + int(t_s * 1000), "type": "event", "resource": "shop", "name": name,
            "body": {"at": BEGAN, "resource": "shop", "body": {"type": name, **body}}}


def intent(t_s, effect_id, name, **effect):
    return {"seq": 1, "at_ms": BEGAN + int(t_s * 1000), "type": "intent", "resource": "shop", "name": name,
            "body": {"id": effect_id, "resource": "shop", "term": 1, "body": {"type": name, **effect}}}


def done(t_s, effect_id, error=None, **more):
    return event(t_s, "effect_done", id=effect_id, error=error, detail="", instance=None, proof="", acks=[], **more)


def outlook(t_s, near, far, known=True):
    return event(t_s, "outlook", outlook={
        "known": known, "scores": [{"horizon": 12_000, "score": near}, {"horizon": 30_000, "score": far}],
        "reasons": [{"text": "memory rises"}]})


def table(epoch, moved=0.0, mirror=0.0, current="shop-a"):
    return {"epoch": epoch, "current": {"id": current}, "other": {"id": "shop-b"},
            "routes": [{"segment": "browse", "other_weight": moved, "mirror": mirror}]}


def whole_story():
    instance = {"id": "shop-b", "endpoint": {"host": "127.0.0.1", "port": 1}}
    provisioned = done(6, 1)
    provisioned["body"]["body"]["instance"] = instance
    outcome = {"verdict": "confirmed", "why": "it died", "load_ratio": 1.0, "failed_at": BEGAN + 37_000,
               "handover_ended_at": BEGAN + 25_000}
    return [
        event(-1, "policy_set", policy=POLICY), outlook(1, 0.9, 0.9, known=False), outlook(2, 0.1, 0.2), outlook(4, 0.1, 0.6),
        intent(4, 1, "provision"), provisioned,
        intent(7, 2, "steer", table=table(0)), done(7, 2),
        intent(8, 3, "steer", table=table(0, mirror=1.0)), done(8.2, 3),
        intent(12, 4, "steer", table=table(0, moved=0.1, mirror=1.0)),
        done(12.1, 4, error={"code": "timeout", "what": "late"}),
        intent(13, 5, "steer", table=table(0, moved=0.1, mirror=1.0)), done(13.5, 5),
        outlook(24, 0.85, 0.99), intent(24.1, 6, "hold", next_epoch=1), done(24.3, 6),
        intent(24.4, 7, "steer", table=table(1, mirror=1.0, current="shop-b")), done(25, 7),
        event(37.5, "outcome", outcome=outcome),
        event(37.6, "tuned", tuning={"shadowing_threshold": 0.5, "critical_threshold": 0.8, "why": "too few outcomes"}),
        intent(37.7, 8, "retire"), done(38, 8),
    ]


def scene(**changes):
    control = {"failed_at_s": 36.0, "requests": 100, "failed": 9, "stall_ms_max": 10.0}
    with_it = {"failed": 0, "writes_lost": 0, "writes_doubled": 0, "lead_s": 12.0, "handover_at_s": 25.0, "requests": 100,
               "writes_acknowledged": 40, "stall_ms_max": 90.0, "shadow_at_s": 6.0, "mirror_at_s": 8.2, "shift_at_s": 13.5,
               "critical_at_s": 24.0, "counterfactual": {"failed_at_s": 37.0, "verdict": "confirmed"}}
    for key, value in changes.items():
        (control if key in ("failed_at_s",) else with_it)[key] = value
    return {"name": "leak", "seed": 1, "control": control, "foreshadow": with_it}


class StoryTest(unittest.TestCase):
    def tell(self, records, begin_after=0):
        story = Story("shop")
        for i, record in enumerate(records):
            if i == begin_after:
                story.begin(BEGAN)
            story.feed(record)
        return story

    def test_every_field_comes_from_the_journal(self):
        facts = self.tell(whole_story()).facts()
        self.assertEqual(facts["shadow_at_s"], 6)
        self.assertEqual(facts["mirror_at_s"], 8.2)
        self.assertEqual(facts["shift_at_s"], 13.5, "a table that was not applied has moved nothing")
        self.assertEqual(facts["critical_at_s"], 24)
        self.assertEqual(facts["handover_began_at_s"], 24.1)
        self.assertEqual(facts["handover_at_s"], 25)
        self.assertEqual(facts["counterfactual"]["failed_at_s"], 37)
        self.assertEqual(facts["lead_s"], 12)
        self.assertEqual(facts["score"], [[2, 0.2], [4, 0.6], [24, 0.99]], "an unknown score is none")

    def test_records_from_before_the_load_are_kept_until_its_beginning_is_known(self):
        late = self.tell(whole_story(), begin_after=9)
        self.assertEqual(late.facts(), self.tell(whole_story()).facts())

    def test_nothing_happened_is_told_as_nothing(self):
        facts = self.tell([event(-1, "policy_set", policy=POLICY), outlook(2, 0.1, 0.2)]).facts()
        for key in ("shadow_at_s", "mirror_at_s", "shift_at_s", "critical_at_s", "handover_at_s", "lead_s"):
            self.assertIsNone(facts[key], key)
        self.assertIsNone(facts["counterfactual"]["failed_at_s"])

    def test_a_refuted_prediction_has_no_lead(self):
        records = whole_story()
        records[-4]["body"]["body"]["outcome"]["failed_at"] = None
        facts = self.tell(records).facts()
        self.assertIsNone(facts["lead_s"])
        self.assertEqual(facts["handover_at_s"], 25)

    def test_is_told_once_the_thresholds_have_been_looked_at(self):
        records = whole_story()
        self.assertFalse(self.tell(records[:-3]).told())
        self.assertTrue(self.tell(records[:-2]).told())

    def test_other_resources_are_not_ours(self):
        records = whole_story()
        for record in records:
            record["resource"] = "other"
        self.assertIsNone(self.tell(records).facts()["shadow_at_s"])

    def test_score_within_takes_the_smallest_horizon_that_covers(self):
        scores = {"scores": [{"horizon": 10, "score": 0.1}, {"horizon": 20, "score": 0.2}]}
        self.assertEqual([score_within(scores, h) for h in (5, 10, 15, 20, 25)], [0.1, 0.1, 0.2, 0.2, 0.2])
        self.assertEqual(score_within({"scores": []}, 5), 0)


class ReportTest(unittest.TestCase):
    def ok(self, fault=True, **changes):
        return report.make_report([scene(**changes)], fault)["ok"]

    def test_is_ok_only_if_every_promise_held(self):
        self.assertTrue(self.ok())
        for broken in ({"failed": 1}, {"writes_lost": 1}, {"writes_doubled": 1}, {"lead_s": 0}, {"lead_s": -2.0}, {"lead_s": None},
                       {"failed_at_s": None}):
            self.assertFalse(self.ok(**broken), broken)
        self.assertFalse(report.make_report([], True)["ok"], "nothing played is nothing shown")

    def test_without_a_fault_a_handover_is_the_failure(self):
        calm = scene(handover_at_s=None, lead_s=None, failed_at_s=None)
        calm["control"]["failed"] = 0
        self.assertTrue(report.make_report([calm], False)["ok"])
        calm["foreshadow"]["handover_at_s"] = 20.0
        self.assertFalse(report.make_report([calm], False)["ok"])

    def test_lead_is_also_told_against_the_control(self):
        self.assertEqual(report.make_report([scene()], True)["scenes"][0]["lead_on_control_s"], 11)

    def test_the_comparison_can_be_drawn_of_a_story_that_failed(self):
        made = report.make_report([scene(shadow_at_s=None, handover_at_s=None, lead_s=None, failed=4)], True)
        text = "\n".join(report.comparison(made["scenes"][0]))
        self.assertIn("BROKEN  no client saw a failure", text)


class ScreenTest(unittest.TestCase):
    def moment(self, **changes):
        moment = types.SimpleNamespace(
            scene=types.SimpleNamespace(name="leak", title="t", resource="shop"), mode="foreshadow", t_s=3.0,
            load={"requests": 5, "failed": 0, "first_failure_s": None, "stall_ms_max": 2.0, "writes_acknowledged": 1},
            gauge=types.SimpleNamespace(label="memory", used=1 << 20, limit=2 << 20), primary_alive=True, story=Story("shop"),
            status=None)
        moment.story.begin(BEGAN)
        vars(moment).update(changes)
        return moment

    def test_plain_lines_are_told_once(self):
        out = io.StringIO()
        shown = screen.Screen(out)
        shown.begin("begin")
        moment = self.moment()
        moment.story.feed(intent(1, 1, "provision"))
        shown.show(moment)
        shown._drawn_at = 0
        shown.show(moment)
        self.assertEqual(out.getvalue().count("provision begins"), 1)

    def test_the_table_draws_every_state_of_knowledge(self):
        shown = screen.Screen(io.StringIO())
        self.assertIn("starting", "\n".join(shown._table(self.moment(load={}, gauge=None))))
        status = {"resources": [{
            "name": "shop", "phase": "mirroring", "step": "none", "epoch": 0, "blocked_why": "cooling down",
            "outlook": {"known": True, "scores": [{"horizon": 30_000, "score": 0.7}], "reasons": [{"text": "memory rises"}]},
            "table": table(0, moved=0.25, mirror=1.0), "last_outcome": None}],
            "gateways": [{"resource": "shop", "segments": [{"mirror": {"sent": 7, "errors": 0, "mismatched": 1, "dropped": 2}}]}]}
        text = "\n".join(shown._table(self.moment(status=status)))
        for part in ("0.70", "memory rises", "mirroring", "cooling down", "25% moved", "7 sent", "1 mismatched"):
            self.assertIn(part, text)

    def test_the_bar_never_overflows(self):
        self.assertEqual([len(screen.bar(share, 10)) for share in (-1, 0, 0.5, 1, 7)], [10] * 5)


class StageTest(unittest.TestCase):
    def test_everything_started_is_stopped_and_the_directory_gone(self):
        with Stage("test") as stage:
            directory = stage.dir
            process = stage.start("sleeper", ["sleep", "600"])
            self.assertTrue(is_alive(process.pid))
        self.assertFalse(is_alive(process.pid))
        self.assertFalse(directory.exists())

    def test_also_when_the_play_breaks_off(self):
        with self.assertRaises(KeyboardInterrupt), Stage("test") as stage:
            process = stage.start("sleeper", ["sleep", "600"])
            raise KeyboardInterrupt
        self.assertFalse(is_alive(process.pid))

    def test_a_missing_program_is_an_error_that_names_it(self):
        with Stage("test") as stage, self.assertRaisesRegex(DemoError, "/nonexistent"):
            stage.start("nobody", ["/nonexistent"])

    def test_waiting_has_a_deadline(self):
        with self.assertRaisesRegex(DemoError, "the moon"):
            wait_until(lambda: False, 0.05, "the moon")


class ConfigTest(unittest.TestCase):
    def test_the_templates_can_be_filled_in(self):
        for path in sorted((DEMO / "configs").glob("*.yaml")):
            template = string.Template(path.read_text())
            names = template.get_identifiers()
            self.assertIn("listen", names)
            self.assertNotIn("$", template.substitute(dict.fromkeys(names, "x")), path)


class ProvisionerTest(unittest.TestCase):
    SCRIPT = """
import pathlib, sys
sys.path.insert(0, sys.argv[1])
from provisioned import serve
run_dir = pathlib.Path(sys.argv[2])
def make(name):
    with open(run_dir / name, "a") as made: made.write("x")
    return {"id": name, "address": "127.0.0.1:1"}
serve(run_dir, "b", make, lambda made: (run_dir / made["id"]).unlink())
"""

    def ask(self, run_dir, **request):
        return subprocess.run([sys.executable, "-c", self.SCRIPT, str(DEMO), run_dir], capture_output=True, text=True,
                              input=json.dumps({"resource": "shop", "primary": {}, **request}))

    def test_one_key_makes_one_instance_and_only_it_is_destroyed(self):
        with tempfile.TemporaryDirectory() as run_dir:
            made = pathlib.Path(run_dir) / "b"
            first = self.ask(run_dir, action="provision", key="shop/1")
            again = self.ask(run_dir, action="provision", key="shop/1")
            self.assertEqual(first.stdout, again.stdout)
            self.assertEqual(json.loads(first.stdout)["id"], "b")
            self.assertEqual(made.read_text(), "x")
            self.assertEqual(self.ask(run_dir, action="provision", key="shop/2").returncode, 1, "a name stands for one key")
            self.assertEqual(self.ask(run_dir, action="destroy", key="shop/2", instance={"id": "b"}).returncode, 1)
            self.assertEqual(self.ask(run_dir, action="destroy", key="shop/1", instance={"id": "other"}).returncode, 0)
            self.assertTrue(made.exists())
            self.assertEqual(self.ask(run_dir, action="destroy", key="shop/1", instance={"id": "b"}).returncode, 0)
            self.assertFalse(made.exists())
            self.assertEqual(self.ask(run_dir, action="destroy", key="shop/1", instance={"id": "b"}).returncode, 0,
                             "a second time is no error")

    def test_a_rebuilt_instance_has_a_name_of_its_own(self):
        with tempfile.TemporaryDirectory() as run_dir:
            rebuilt = self.ask(run_dir, action="rebuild", key="", instance={"id": "a"}, serving={"id": "b"})
            self.assertEqual(json.loads(rebuilt.stdout)["id"], "a-rebuilt")

    def test_nonsense_is_refused(self):
        with tempfile.TemporaryDirectory() as run_dir:
            self.assertEqual(self.ask(run_dir, action="dance", key="k").returncode, 1)


if __name__ == "__main__":
    unittest.main()
