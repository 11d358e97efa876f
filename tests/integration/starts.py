"""A bad start: the world is already broken when `foreshadow run` begins. It must come up, say so, and make nothing worse."""

import os
import signal
import time

from parts import DISK_PACE, KILL_PACE, DiskScene, Foreshadow, LeakScene, Stage, ask, check, is_alive, wait_until

WATCHED_S = 12


def primary_absent(build, seed):
    """Nobody listens where the primary should be. Clients are told so at once; when it comes, they are served."""
    with Stage("primary-absent") as stage:
        scene = LeakScene(stage, build, seed, False, KILL_PACE)
        scene.prepare()
        pid = scene.primary_pid()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(pid), 5, "the shop's end")
        edge = stage.free_port()
        foreshadow = Foreshadow(stage, build, scene.write_config(edge))
        foreshadow.start()
        began = time.monotonic()
        status, body = ask(edge, "POST", "/orders", '{"op": "early", "amount": 1}', 10)
        took = time.monotonic() - began
        check(status == 503 and "nothing was sent" in body, f"without a primary a client got {status} {body}")
        check(took < 2, f"without a primary a client waited {took:.1f} s")
        stage.start("shop-late", [scene.shop, "--listen", f"127.0.0.1:{scene.primary_port()}", "--name", "shop-a",
                                  "--pid-file", scene.pid_file, "--database", scene.database.conninfo()])
        wait_until(lambda: ask(edge, "GET", "/healthz", None, 10)[0] == 200, 20, "the late primary serves")
        records = followed(foreshadow, lambda _: known(foreshadow, scene.resource))
        check(known(foreshadow, scene.resource), f"the late primary is not seen: {foreshadow.status}")
        begun = begun_in(records)
        check(not begun, f"a primary that was not there yet had this begun: {begun}")
        return f"503 after {took * 1000:.0f} ms; served and seen once it was there; nothing was begun"


def volume_full(build, seed):
    """The primary's volume has no room for a base copy's WAL. The shadow is refused, and the primary lives on."""
    with Stage("volume-full") as stage:
        scene = DiskScene(stage, build, seed, True, DISK_PACE)
        scene.prepare()
        volume = os.statvfs(scene.volume)
        # Below the limit of the configuration, above what a server that only reads needs.
        with open(scene.volume / "ballast", "wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, volume.f_bavail * volume.f_frsize - (1 << 20))
        foreshadow = Foreshadow(stage, build, scene.write_config(stage.free_port()))
        foreshadow.start()
        records = followed(foreshadow, lambda records: refusals_in(records))
        refused = refusals_in(records)
        check(refused, f"nothing was refused; begun: {begun_in(records)}")
        check("fence" not in begun_in(records) and "promote" not in begun_in(records), f"begun: {begun_in(records)}")
        check(scene.cluster.sql("SELECT pg_is_in_recovery()").strip() == "f", "the primary serves no more")
        return f"refused: {refused[0]}; the primary serves"


def followed(foreshadow, enough):
    """The journal until `enough(records)`, for WATCHED_S at most."""
    records = []
    until = time.monotonic() + WATCHED_S
    while time.monotonic() < until:
        check(foreshadow.alive(), "foreshadow run ended")
        records.extend(foreshadow.poll())
        if enough(records):
            break
        time.sleep(0.02)
    return records


def known(foreshadow, name):
    """Whether the resource's risk can be told."""
    return any(r["name"] == name and r["outlook"] is not None and r["outlook"]["known"]
               for r in (foreshadow.status or {}).get("resources", []))


def begun_in(records):
    return [r["name"] for r in records if r["type"] == "intent" and r["name"] not in ("steer", "page")]


def refusals_in(records):
    return [r["body"]["body"]["error"]["what"] for r in records
            if r["type"] == "event" and r["name"] == "effect_done" and r["body"]["body"]["error"] is not None]
