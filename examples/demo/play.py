"""One scene played once. The same scene, seed and load both times; what differs is who the clients talk to."""

import dataclasses
import time

from errors import DemoError
from foreshadow import Foreshadow
from load import Load, verify_ledger
from stage import is_alive
from story import Story

# How long clients are watched after their first failure: enough to see that it was no accident.
AFTERMATH_S = 3
POLL_S = 0.05


@dataclasses.dataclass
class Moment:
    """All that the screen shows, at one time."""

    scene: object
    mode: str
    t_s: float
    load: dict
    gauge: object
    primary_alive: bool
    story: object = None
    status: dict = None


def _seconds_max(pace):
    return pace.life_s * 2 + 30


def _play(scene, port, show, mode, story, foreshadow, over):
    """Runs the load until `over(t_s, load_line)` or the limit. Returns (load report, when the primary's process died)."""
    limit_s = _seconds_max(scene.pace)
    load = Load(scene.stage, scene.load_argv(port, limit_s))
    pid = scene.primary_pid()
    died_at_s = None
    while True:
        line = load.poll()
        t_s = line.get("t_s", 0.0)
        if line and story is not None and story.began_ms is None:
            story.begin(line["started_at_ms"])
        status = None
        if foreshadow is not None:
            for record in foreshadow.poll():
                story.feed(record)
            status = foreshadow.status
        alive = is_alive(pid)
        if not alive and died_at_s is None:
            died_at_s = t_s
        show(Moment(scene, mode, t_s, line, scene.gauge(), alive, story, status))
        if load.ended() or (line and over(t_s, line)):
            break
        time.sleep(POLL_S)
    return load, load.finish(), died_at_s


def play_control(scene, show):
    """Clients go straight to the primary. Ends when they have suffered, or without a fault when the primary outlived it."""
    scene.prepare()

    def over(t_s, line):
        first = line["first_failure_s"]
        if first is not None:
            return t_s >= first + AFTERMATH_S
        return not scene.fault and t_s >= scene.pace.life_s

    _, report, died_at_s = _play(scene, scene.primary_port(), show, "control", None, None, over)
    return {
        "failed_at_s": report["first_failure_s"],
        "requests": report["requests"],
        "failed": report["failed"],
        "failed_by_class": report["failed_by_class"],
        "process_died_at_s": died_at_s,
        "stall_ms_max": report["stall_ms_max"],
        "latency_ms": report["latency_ms"],
    }


def play_foreshadow(scene, show):
    """Clients go to the gateway, and `foreshadow run` does the rest. Ends when its story is over, or when it has failed."""
    scene.prepare()
    port = scene.stage.free_port()
    config = scene.write_config(port)
    story = Story(scene.resource)
    foreshadow = Foreshadow(scene.stage, scene.build, config)
    foreshadow.start()

    def over(t_s, line):
        if not foreshadow.alive():
            raise DemoError(f"foreshadow ended: {scene.stage.log_tail('foreshadow')}")
        if not scene.fault:
            return t_s >= scene.pace.life_s
        if line["first_failure_s"] is not None and story.at("handover") is None:
            return t_s >= line["first_failure_s"] + AFTERMATH_S
        # The old primary has become standby, or was rebuilt, or is left to a person.
        return story.told() and foreshadow.phase(scene.resource) == "observing"

    load, report, _ = _play(scene, port, show, "foreshadow", story, foreshadow, over)
    for record in foreshadow.poll():
        story.feed(record)
    ledger = verify_ledger(scene.build, load.acknowledged, scene.ledger_conninfo(port), scene.ledger_tables)
    return {
        **story.facts(),
        "requests": report["requests"],
        "failed": report["failed"],
        "failed_by_class": report["failed_by_class"],
        "writes_acknowledged": ledger["writes_acknowledged"],
        "writes_lost": ledger["writes_lost"],
        "writes_doubled": ledger["writes_doubled"],
        "stall_ms_max": report["stall_ms_max"],
        "latency_ms": report["latency_ms"],
        **({"read_staleness_ms_max": report["read_staleness_ms_max"]} if "read_staleness_ms_max" in report else {}),
    }
