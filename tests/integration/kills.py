#!/usr/bin/env python3
"""What must survive kill -9, SIGSTOP and a bad start, on real processes: PostgreSQL, the shop, the load generators,
`foreshadow run`.

One line a case, `ok` with its numbers or `FAILED` with why; the last line counts them; exits with 0 only if all passed, with 2
if the machine cannot play them.
"""

import argparse
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

from parts import (DISK_PACE, KILL_PACE, ROOT, DemoError, DiskScene, Failed, Gateway, LeakScene, Load, Play, RpcError,
                   SlowClient, Stage, check, get_name, is_alive, post_order, read_pid, rpc, second_shop, wait_until)
from play import play_control
from starts import primary_absent, volume_full

BACK_WITHIN_S = 1.0


def controller_killed(build, seed, kind=LeakScene):
    """kill -9 at random moments, and shortly after the moments that matter."""
    chance = random.Random(seed)
    with Stage(f"controller-killed-{kind.name}") as stage:
        play = Play(kind(stage, build, seed, True, KILL_PACE))
        kills = []
        marks = ["shadow", "mirror", "critical", "hold", "handover"]
        due = time.monotonic() + chance.uniform(1, 4)
        terms_before = len(play.terms())

        def maybe_kill():
            nonlocal due, terms_before
            for mark in list(marks):
                if play.story.at(mark) is not None:
                    marks.remove(mark)
                    due = min(due, time.monotonic() + chance.uniform(0, 0.3))
            # One life at a time: a controller that has not begun its term yet would not show that the term rises.
            if time.monotonic() < due or len(play.terms()) <= terms_before:
                return
            pid = play.controller_pid()
            if pid is None:
                return
            os.kill(pid, signal.SIGKILL)
            kills.append(play.t_s)
            terms_before = len(play.terms())
            due = time.monotonic() + chance.uniform(3, 7)

        play.run(play.story_over, maybe_kill)
        report, ledger = play.end()
        play.check_unharmed(report, ledger)
        check(play.story.at("handover") is not None, f"no handover after {len(kills)} kills; {play.tail()}")
        check(play.story.outcome is not None, f"no outcome after {len(kills)} kills; {play.tail()}")
        check(len(kills) >= 4, f"only {len(kills)} kills")
        terms = play.terms()
        check(all(a < b for a, b in zip(terms, terms[1:])), f"terms do not rise: {terms}")
        check(len(terms) >= len(kills), f"{len(kills)} kills but terms {terms}")
        return (f"{len(kills)} kills, terms {terms[0]} to {terms[-1]}, 0 of {report['requests']} failed, longest "
                f"{report['stall_ms_max']:.0f} ms, handover at {play.story.at('handover')} s, "
                f"{play.story.outcome['verdict']}")


def controller_killed_disk(build, seed):
    """The same where a handover fences and promotes."""
    return controller_killed(build, seed, DiskScene)


def controller_stopped(build, seed):
    """SIGSTOP when the hold begins, for longer than its lease: the seal that comes late is refused."""
    for attempt in range(3):
        try:
            return controller_stopped_once(build, seed + attempt)
        except MissedMoment as missed:
            print(f"controller_stopped: {missed}; played again", flush=True)
    raise Failed("the moment of the hold was missed three times")


class MissedMoment(Exception):
    """The hold was over before the controller could be stopped in it: nothing was shown."""


class StopAtHold:
    """Stops the controller as soon as its gateway holds. Its own thread, because a hold is short."""

    def __init__(self, play):
        self._play = play
        self._ended = threading.Event()
        self.pid = None
        self.at = None
        self.report = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._ended.wait(0.001):
            try:
                if report(self._play)["hold"] == "open":
                    continue
            except (OSError, RpcError):
                continue
            pid = self._play.controller_pid()
            if pid is None:
                continue
            os.kill(pid, signal.SIGSTOP)
            self.pid, self.report, self.at = pid, report(self._play), time.monotonic()
            return

    def end(self):
        self._ended.set()
        self._thread.join()
        if self.pid is not None:
            os.kill(self.pid, signal.SIGCONT)


def report(play):
    return rpc(play.gateway_socket, {"verb": "report", "resource": play.scene.resource})


def controller_stopped_once(build, seed):
    lease_s, stop_s = 2.0, 4.0
    with Stage("controller-stopped") as stage:
        play = Play(LeakScene(stage, build, seed, True, KILL_PACE), policy=["hold: {lease: 2s, budget: 1500ms, park_max: 5s}"])
        slow = [SlowClient(play.port, f"slow-{name}") for name in "ab"]
        stopped = StopAtHold(play)
        try:
            play.run(lambda: stopped.at is not None or play.story.at("handover") is not None)
            if stopped.at is None or stopped.report["hold"] not in ("holding", "held"):
                failures = [text for client in slow for text in client.failures]
                raise MissedMoment((f"stopped at {stopped.report['hold']}" if stopped.at else "no hold was seen")
                                   + (f"; the slow clients: {failures}" if failures else ""))
            for client in slow:
                client.finish()
            play.run(lambda: time.monotonic() >= stopped.at + stop_s)
            lapsed = report(play)
            check(lapsed["hold"] == "open", f"the lease of {lease_s} s has not lapsed after {stop_s} s: {lapsed['hold']}")
        finally:
            stopped.end()
        before = len(play.records)

        def stale():
            answers = intents(play.records)
            return [(answers.get(r["body"]["body"]["id"]), r["body"]["body"]["error"]) for r in play.records[before:]
                    if r["name"] == "effect_done" and r["body"]["body"]["error"] is not None]

        play.run(lambda: bool(stale()), lambda: None)
        refused = [(name, error) for name, error in stale() if name in ("hold", "prove_equal", "seal")]
        released = [r for r in play.records[before:] if r["type"] == "intent" and r["name"] == "release"]
        check(refused or released, f"neither a refusal nor a release after SIGCONT: {stale()}; {play.tail()}")
        epoch_then = report(play)["epoch"]
        check(epoch_then == stopped.report["epoch"], f"the gateway's epoch moved from {stopped.report['epoch']} to "
              f"{epoch_then} by the stale command")
        play.run(lambda: play.story.at("handover") is not None)
        load, ledger = play.end()
        play.check_unharmed(load, ledger)
        check(play.story.at("handover") is not None, f"the handover was not tried again; {play.tail()}")
        check(load["stall_ms_max"] <= lease_s * 1000 + 1000, f"longest answer {load['stall_ms_max']:.0f} ms, lease {lease_s} s")
        what = f"{refused[0][0]} {refused[0][1]['code']}: {refused[0][1]['what']}" if refused else "released"
        return (f"stopped {stop_s:g} s at {stopped.report['hold']}; then {what}; 0 of {load['requests']} failed, longest "
                f"{load['stall_ms_max']:.0f} ms, handover at {play.story.at('handover')} s")


def intents(records):
    """The name of every effect, by its id."""
    return {r["body"]["id"]: r["name"] for r in records if r["type"] == "intent"}


HOLD = {"lease": 30000, "budget": 1000, "park_max": 2000, "attempts_max": 5, "retry_after": 1000}


def gateway_killed(build, seed):
    """kill -9 while open, holding and sealed: back in under a second, in the state it was in."""
    with Stage("gateway-killed") as stage:
        scene = LeakScene(stage, build, seed, False, KILL_PACE)
        scene.prepare()
        old, new = table_instances(scene)
        gateway = Gateway(scene)
        back = {"open, under foreshadow run": killed_under_run(gateway)}
        gateway.start()
        resource, term = scene.resource, 50

        def hold(next_epoch):
            return gateway.call("hold", resource=resource, term=term, next_epoch=next_epoch, policy=HOLD)["incarnation"]

        def seal(next_epoch, incarnation):
            return gateway.call("seal", resource=resource, term=term, next_epoch=next_epoch, incarnation=incarnation)

        def kill(name, holds, epoch, version):
            back[name] = gateway.kill_and_restart()
            report = gateway.report()
            got = (report["hold"], report["epoch"], report["version"])
            check(got == (holds, epoch, version), f"killed while {name}: hold, epoch, version are {got}, "
                  f"not {(holds, epoch, version)}")

        gateway.apply(0, 100, term, old, other=new)
        kill("open", "open", 0, 100)
        check(get_name(gateway.port) == old["id"], "killed while open: another side serves")
        gateway.refused(["conflict"], "an older term after a kill", "apply", table=gateway.table(0, 101, term - 1, old))

        first = hold(1)
        check(gateway.report()["hold"] == "held", f"not held: {gateway.report()['hold']}")
        kill("holding", "open", 0, 100)
        check(get_name(gateway.port) == old["id"], "killed while holding: another side serves")
        gateway.refused(["conflict"], "a seal with the incarnation before the kill", "seal", resource=resource, term=term,
                        next_epoch=1, incarnation=first)

        seal(1, hold(1))
        kill("sealed", "sealed", 0, 100)
        gateway.refused(["conflict"], "a table of the old epoch while sealed", "apply", table=gateway.table(0, 102, term, old))
        status, body, took = post_order(gateway.port, "while-sealed")
        check(status == 503, f"an order while sealed got {status} {body}")
        check(1.5 <= took <= 6, f"an order while sealed was parked {took:.1f} s, park_max is 2 s")
        arrived = scene.database.sql("SELECT count(*) FROM ledger WHERE op = 'while-sealed'").strip()
        check(arrived == "0", "an order reached the old side while sealed")
        waiting = Parked(gateway, "parked-then-new")
        gateway.apply(1, 1, term, new, other=old)
        status = waiting.status()
        check(status == 201, f"an order parked under the seal got {status} from the new side")
        check(get_name(gateway.port) == new["id"], "after epoch 1 the old side serves")

        seal(2, hold(2))
        kill("sealed again", "sealed", 1, 1)
        waiting = Parked(gateway, "parked-then-released")
        gateway.call("release", resource=resource, term=term, next_epoch=2)
        check(waiting.status() == 201, "an order parked under the seal was not let go by the release")
        check(get_name(gateway.port) == new["id"], "after the release another side serves")
        for name, seconds in back.items():
            check(seconds < BACK_WITHIN_S, f"killed while {name}: back after {seconds:.2f} s")
        return "back in " + ", ".join(f"{seconds * 1000:.0f} ms ({name})" for name, seconds in back.items()) \
            + f"; an order while sealed: 503 after {took:.1f} s, never arrived"


def table_instances(scene):
    port = scene.primary_port()
    new = second_shop(scene)
    return {**new, "id": "shop-a", "endpoint": {"host": "127.0.0.1", "port": port}}, new


class Parked:
    """An order that is parked at the gateway when the constructor returns."""

    def __init__(self, gateway, op):
        self._answer = []
        self._thread = threading.Thread(target=lambda: self._answer.append(post_order(gateway.port, op)[0]), daemon=True)
        self._thread.start()
        wait_until(lambda: gateway.report()["parked"] > 0, 1.5, "an order is parked", every=0.005)

    def status(self):
        self._thread.join(20)
        return self._answer[0] if self._answer else None


def killed_under_run(gateway):
    """The same with the product's own supervisor. Returns the seconds until it accepts again."""
    stage = gateway.scene.stage
    run = stage.start("run", [gateway.scene.build / "bin/foreshadow", "run", "-c", gateway.config])
    gateway.wait_accepting()
    pid_file = stage.dir / "state/gateway-edge.pid"
    before = wait_until(lambda: read_pid(pid_file), 10, "the gateway's pid file")
    incarnation = gateway.call("ping")["incarnation"]
    killed = time.monotonic()
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: not is_alive(before), 5, "the gateway's end", every=0.001)
    gateway.wait_accepting()
    back = time.monotonic() - killed
    check(gateway.call("ping")["incarnation"] != incarnation, "the incarnation did not change")
    check(get_name(gateway.port) == "shop-a", "another side serves")
    stage.stop(run, 30)
    return back


def stale_table_refused(build, seed):
    """Tables that are older, empty or not ours change nothing, and traffic does not notice them."""
    with Stage("stale-table") as stage:
        scene = LeakScene(stage, build, seed, False, KILL_PACE)
        scene.prepare()
        old, new = table_instances(scene)
        gateway = Gateway(scene)
        gateway.start()
        load = Load(stage, scene.load_argv(gateway.port, 60))
        gateway.apply(3, 7, 9, old, other=new)
        wait_until(lambda: load.poll().get("requests", 0) > 50, 20, "load")
        nobody = {**old, "id": "", "endpoint": {"host": "", "port": 0}}
        stale = {
            "a lower epoch": gateway.table(2, 8, 9, new),
            "a lower version": gateway.table(3, 6, 9, old),
            "the same version with other content": gateway.table(3, 7, 9, old),
            "a lower term": gateway.table(4, 1, 8, new),
            "an empty table": gateway.table(4, 1, 9, nobody),
            "a table without a current side": {k: v for k, v in gateway.table(4, 1, 9, old).items() if k != "current"},
            "another current side in the same epoch": gateway.table(3, 8, 9, new),
            "an unknown resource": {**gateway.table(4, 1, 9, new), "resource": "nobody"},
        }
        for what, table in stale.items():
            gateway.refused(["conflict", "invalid"], what, "apply", table=table)
            report = gateway.report()
            check((report["epoch"], report["version"], report["hold"]) == (3, 7, "open"), f"{what} changed the gateway")
        gateway.apply(3, 7, 9, old, other=new)  # the same again is no error
        before = load.poll()["requests"]
        wait_until(lambda: load.poll()["requests"] > before + 50, 20, "more load")
        check(get_name(gateway.port) == old["id"], "the other side serves")
        report = load.finish()
        check(report["failed"] == 0, f"{report['failed']} requests failed: {report['failed_by_class']}")
        moved = [s for s in gateway.report()["segments"] if s["other"]["requests"]]
        check(not moved, f"requests went to the other side: {moved}")
        return f"{len(stale)} tables refused, 0 of {report['requests']} requests failed"


def no_fault(build, seed):
    """The demo without its fault: nothing is handed over."""
    done = subprocess.run([sys.executable, ROOT / "examples/demo/demo.py", "--no-fault", "--short", "--scene", "leak", "--json",
                           "--seed", str(seed), "--build-dir", build], capture_output=True, text=True, timeout=240)
    check(done.returncode in (0, 1), f"demo.py ended with {done.returncode}: {done.stderr.strip()}")
    scene = json.loads(done.stdout)["scenes"][0]
    broken = [what for what, held in scene["promises"].items() if not held]
    check(done.returncode == 0 and not broken, f"exit code {done.returncode}, broken: {broken}")
    scores = [score for _, score in scene["foreshadow"]["score"]]
    return f"0 of {scene['foreshadow']['requests']} failed, highest score {max(scores, default=0):.2f}"


class SteadyWalScene(DiskScene):
    """Checkpoints so near that the WAL never outgrows the files that are there at the start: the volume then fills with data
    alone. Otherwise the checkpoint that a base copy begins with moves the next ones, and with them by seconds the moment at
    which a short life ends; and WAL that is kept for a dead shadow would hide in that noise."""

    def prepare(self):
        super().prepare()
        self.cluster.sql("ALTER SYSTEM SET max_wal_size = '6MB'")
        self.cluster.sql("SELECT pg_reload_conf()")


def shadow_off(build, seed):
    """A shadow that died and no handover: the disk primary lives as long as it would have without Foreshadow."""
    with Stage("shadow-off-control") as stage:
        control = play_control(SteadyWalScene(stage, build, seed, True, DISK_PACE), lambda moment: None)
    check(control["failed_at_s"] is not None, "the control did not fill its volume")
    with Stage("shadow-off") as stage:
        scene = SteadyWalScene(stage, build, seed, True, DISK_PACE)
        play = Play(scene, policy=["handover_enabled: false"])
        killed = []

        def kill_shadow():
            ready = any(intents(play.records).get(r["body"]["body"]["id"]) == "replicate" and r["body"]["body"]["error"] is None
                        for r in play.records if r["name"] == "effect_done")
            pid = read_pid(stage.dir / "volume-ledger-b/data/postmaster.pid")
            if ready and pid is not None and is_alive(pid) and not killed:
                os.kill(pid, signal.SIGKILL)
                killed.append(play.t_s)

        play.run(lambda: False, kill_shadow)
        gauge = scene.gauge()
        report = play.load.finish()
        check(killed, f"no shadow came up before the volume was full; {play.tail()}")
        check(play.story.at("handover") is None, "it was handed over, though that was off")
        lived, would = report["first_failure_s"], control["failed_at_s"]
        check(killed[0] <= 0.5 * would, f"the shadow came up only at {killed[0]} s of {would} s: too late to show what its death "
              f"costs; {play.tail()}")
        used = "the primary is dead" if gauge is None else f"{gauge.used >> 20} of {gauge.limit >> 20} MiB used"
        check(lived is not None and lived >= 0.9 * would, f"lived {lived} s, the control {would} s; {used}; "
              f"{report['failed_by_class']}; shadow killed at {killed[0]} s; {play.tail()}")
        return f"lived {lived:.1f} s, the control {would:.1f} s; the shadow was killed at {killed[0]:.1f} s; {used}"


CASES = {case.__name__: case for case in (stale_table_refused, gateway_killed, controller_stopped, controller_killed,
                                          controller_killed_disk, shadow_off, no_fault, primary_absent, volume_full)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="*", metavar="CASE", choices=[*CASES, []], help=f"all by default: {', '.join(CASES)}")
    parser.add_argument("--build-dir", type=pathlib.Path, default=ROOT / "build/release", help="default build/release")
    parser.add_argument("--seed", type=int, default=1, help="of the loads and of the moments of the kills (default 1)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if os.geteuid() != 0:
        print("kills: a small volume is mounted and PostgreSQL runs as user postgres: run it as root", file=sys.stderr)
        return 2
    passed = failed = 0
    for name in arguments.case or CASES:
        began = time.monotonic()
        try:
            line, passed = f"ok: {CASES[name](arguments.build_dir.resolve(), arguments.seed)}", passed + 1
        except (Failed, DemoError, RpcError, OSError) as error:
            line, failed = f"FAILED: {type(error).__name__ + ': ' if isinstance(error, OSError) else ''}{error}", failed + 1
        except KeyboardInterrupt:
            print("kills: stopped", file=sys.stderr)
            return 2
        print(f"{name} {line} ({time.monotonic() - began:.0f} s)", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
