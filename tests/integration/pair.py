#!/usr/bin/env python3
"""Two gateways in front of one service, clients at both, and one of them killed at the moments that matter. Each case ends
with the same questions: was the old side asked anything after the new one had been? Is every acknowledged write in the
ledger, and none twice? Did anybody fail at the gateway that lived?

pair.py BINARY [CASE...]: one line a case, exit code 0 only if all passed.
"""

import contextlib
import http.client
import json
import pathlib
import sys
import threading
import time

from pair_world import Between, Clients, World
from parts import DemoError, Failed, RpcError, check, wait_until


def no_second_writer(world):
    """Every client's write to the old side arrived before the first one to the new. Reads may flow while both are held."""
    old = [at for at, method, _, mark in world.asked("old") if mark == "-" and method == "POST"]
    new = [at for at, method, _, mark in world.asked("new") if mark == "-" and method == "POST"]
    check(old and new, f"not both sides were asked: {len(old)} and {len(new)}; {world.log('controller')}")
    check(max(old) < min(new), f"the old side was asked {(max(old) - min(new)) / 1e6:.1f} ms after the new one first was")


def ledger_holds(world, clients):
    lines = (world.dir / "ledger").read_text().splitlines()
    written = set(lines)
    check(len(lines) == len(written), f"{len(lines) - len(written)} writes are in the ledger twice")
    acknowledged = [op for c in clients for op in c.acknowledged]
    lost = [op for op in acknowledged if op not in written]
    check(not lost, f"{len(lost)} acknowledged writes are lost: {lost[:5]}")
    return len(acknowledged)


def unharmed(clients):
    for c in clients:
        check(not c.failed, f"{len(c.failed)} requests failed at gateway {c.gateway}: {c.failed[:5]}")


def load(world, pause_s=0.01):
    clients = [Clients(g, world.ports[g], pause_s=pause_s) for g in "ab"]
    wait_until(lambda: all(len(c.acknowledged) > 20 for c in clients), 20, "the load runs")
    return clients


def ended(world, clients, unharmed_at):
    before = [len(c.acknowledged) for c in clients]
    wait_until(lambda: all(len(c.acknowledged) > n + 20 for c, n in zip(clients, before)), 30, "clients are served at both")
    for c in clients:
        c.stop()
    unharmed(unharmed_at)
    for c in unharmed_at:
        check(not c.unknown, f"connections broke at gateway {c.gateway}: {c.unknown[:5]}")
    acknowledged = ledger_holds(world, clients)
    return f"{acknowledged} writes acknowledged, none lost or doubled, {sum(len(c.unknown) for c in clients)} without an answer"


def handover(world):
    """Nobody is killed: clients at both gateways notice nothing."""
    world.start_all()
    clients = load(world)
    world.hand_over()
    wait_until(world.at_epoch(1), 40, "both gateways at epoch 1")
    told = ended(world, clients, clients)
    no_second_writer(world)
    mirrored = wait_until(lambda: [a for a in world.asked("old") if a[3] == "1"], 10, "reads are mirrored to the old side")
    check(all(method == "GET" for _, method, _, _ in mirrored), "a write was mirrored that nobody declared")
    return told


def killed(world, verb, after, slow=False):
    """Gateway b is killed at a command and started again 300 ms later."""
    world.start_all()
    clients = load(world)
    killed_at = []

    def hook(name, is_after):
        if name != verb or is_after != after or killed_at:
            return bool(killed_at)
        killed_at.append(time.monotonic())
        between.leave()
        world.kill("b")
        threading.Timer(0.3, lambda: world.start_gateway("b")).start()
        return True

    between = Between(world, "b", hook)
    if slow:
        # Two by turns: at every moment one of them has longer to go than a hold may wait.
        for delay_s in (0, 1):
            threading.Thread(target=keep_slow, args=(world, delay_s, killed_at), daemon=True).start()
        wait_until(lambda: sum(path == "/slow" for _, _, path, _ in world.asked("old")) >= 2, 20, "two slow requests")
    world.hand_over()
    wait_until(lambda: killed_at, 40, f"a {verb} at gateway b")
    wait_until(world.at_epoch(1), 60, "both gateways at epoch 1")
    told = ended(world, clients, clients[:1])
    unharmed_but_for_the_kill(clients[1])
    no_second_writer(world)
    return f"back {time.monotonic() - killed_at[0]:.1f} s ago; {told}"


def unharmed_but_for_the_kill(clients):
    # Sealed and killed, it parks clients until the switch; a 503 says that nothing was done.
    bad = [f for f in clients.failed if f[3] != 503]
    check(not bad, f"gateway b answered {bad[:5]}")


def keep_slow(world, delay_s, until):
    """A request in flight at every moment, so that a hold runs out of its budget and is released."""
    time.sleep(delay_s)
    with contextlib.suppress(OSError, http.client.HTTPException):
        while not until:
            connection = http.client.HTTPConnection("127.0.0.1", world.ports["a"], timeout=20)
            connection.request("POST", "/slow", f"slow-{time.monotonic_ns()}")
            connection.getresponse().read()
            connection.close()


def killed_before_hold(world):
    """It is dead when the hold comes: nobody is held, and the next attempt finds it again."""
    return killed(world, "hold", after=False)


def killed_before_seal(world):
    """It held and died: the seal is refused or finds nobody, the other one is released."""
    return killed(world, "seal", after=False)


def killed_after_seal(world):
    """It sealed and died: the switch waits for it, and it comes back sealed."""
    return killed(world, "seal", after=True)


def killed_before_release(world):
    """A hold ran out of its budget, and the release finds one of them dead."""
    return killed(world, "release", after=False, slow=True)


def removed(world):
    """It is dead and stays so: a handover is refused until an operator takes it out. What comes back knows who serves."""
    world.start_all()
    clients = load(world)
    world.kill("b")
    wait_until(lambda: "b" in text_of(world, "status"), 10, "status shows it")
    world.hand_over()
    wait_until(lambda: "gateway b does not answer" in (world.resource() or {}).get("blocked_why", ""), 20, "the handover is refused")
    refused = world.run("remove-gateway", "shop", "a", ok=(5,))
    check("runs" in refused.stderr, f"taking out one that runs: {refused.stderr}")
    world.run("remove-gateway", "shop", "b")
    wait_until(world.at_epoch(1, "a"), 40, "gateway a at epoch 1")
    last = world.run("remove-gateway", "shop", "a", ok=(4,))
    check("only gateway" in last.stderr, f"taking out the last one: {last.stderr}")
    # Without a controller it must not guess.
    world.end(world.processes["controller"])
    world.start_gateway("b")
    check(world.report("b")["hold"] == "sealed", "it came back open without having been told")
    time.sleep(0.3)
    world.start_controller()
    wait_until(world.at_epoch(1), 20, "gateway b is told")
    told = ended(world, clients, clients[:1])
    unharmed_but_for_the_kill(clients[1])
    no_second_writer(world)
    return told


def text_of(world, *words):
    return world.run(*words).stdout


def upgrade(world):
    """`foreshadow upgrade` replaces both, one after the other, under load."""
    world.spawn("run", [world.binary, "run", "-c", world.config])
    wait_until(lambda: world.answers("a") and world.answers("b") and world.resource(), 20, "foreshadow run")
    before = {g: world.answers(g) for g in "ab"}
    clients = load(world)
    done = world.run("upgrade")
    check("2 gateways replaced" in done.stdout, done.stdout)
    check(all(world.answers(g) != before[g] for g in "ab"), "an incarnation did not change")
    replaced = [line for line in world.log("run", 200).splitlines() if "is replaced" in line or "has replaced" in line]
    order = [("a" if "gateway-a" in line else "b") for line in replaced]
    check(order == ["a", "a", "b", "b"], f"not one after the other: {replaced}")
    world.hand_over()
    wait_until(world.at_epoch(1), 60, "both gateways at epoch 1")
    told = ended(world, clients, clients)
    no_second_writer(world)
    return told


def bypass(world):
    """An emergency: after a handover everything of ours is dead. It is still told where the service is, and nothing moves when
    a controller comes back."""
    world.start_all()
    clients = load(world)
    world.hand_over()
    wait_until(world.at_epoch(1), 40, "both gateways at epoch 1")
    for c in clients:
        c.stop()
    live = json.loads(text_of(world, "bypass", "shop", "--show", "-o", "json"))
    check(live["current"]["id"] == "new" and live["source"] == "the controller", f"{live}")
    for name in ("a", "b", "controller"):
        world.kill(name)
    address = text_of(world, "bypass", "shop", "--address").strip()
    check(address == live["address"], f"{address}, not {live['address']}")
    status, body = ask(address)
    check(status == 200 and json.loads(body)["name"] == "new", f"past the gateways: {status} {body}")
    told = text_of(world, "bypass", "shop", "-r", "the test asks")
    check(f"new at {address}" in told and "No controller answers" in told, told)
    check(f" output tcp flags & (fin|syn|rst|ack) == syn ip daddr 127.0.0.1 tcp dport {world.ports['a']} dnat to {address}'" in told, told)
    world.state.joinpath("journal.db").rename(world.state / "journal.lost")
    check(text_of(world, "bypass", "shop", "--address").strip() == address, "without a journal the gateways' files do not tell")
    world.state.joinpath("journal.lost").rename(world.state / "journal.db")

    world.start_controller()
    check(world.resource()["bypassed"], "the next controller does not know of the bypass")
    for name in "ab":
        world.start_gateway(name)
    refused = world.run("handover", "shop", "--yes", ok=(4,))
    check("bypassed" in refused.stderr, refused.stderr)
    check("bypassed" in text_of(world, "status"), "status does not show it")
    world.run("bypass", "shop", "--end")
    wait_until(lambda: not world.resource()["bypassed"], 5, "the bypass ends")
    return f"told {address} with nobody alive; frozen by the next controller, and let go"


def ask(address):
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("GET", "/name")
    answer = connection.getresponse()
    return answer.status, answer.read()


CASES = {case.__name__: case for case in (handover, killed_before_hold, killed_before_seal, killed_after_seal,
                                          killed_before_release, removed, upgrade, bypass)}


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    bad = 0
    for name in sys.argv[2:] or CASES:
        began = time.monotonic()
        with World(binary) as world:
            try:
                line = f"ok: {CASES[name](world)}"
            except (DemoError, Failed, RpcError, OSError) as error:
                bad += 1
                logs = "\n".join(f"--- {n}\n{world.log(n, 25)}" for n in ("controller", "a", "b", "run"))
                line = f"FAILED: {error}\n{logs}"
        print(f"{name} {line} ({time.monotonic() - began:.1f} s)", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
