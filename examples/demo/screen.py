"""The live table: one screen redrawn in place on a terminal, plain lines where there is none."""

import shutil
import sys
import time

BAR = 30
REDRAW_S = 0.25
PLAIN_EVERY_S = 5


def bar(share, width=BAR):
    """A gauge of `share`, 0 to 1."""
    filled = round(max(0.0, min(1.0, share)) * width)
    return "█" * filled + "·" * (width - filled)


def mib(count):
    return f"{count / (1 << 20):.0f} MiB"


class Screen:
    """`quiet` shows nothing, for --json."""

    def __init__(self, out=sys.stdout, quiet=False):
        self._out = out
        self._quiet = quiet
        self._live = out.isatty() and not quiet
        self._drawn_at = 0.0
        self._height = 0
        self._told = 0
        self._plain_at = 0.0

    def begin(self, text):
        self._told = 0
        self._height = 0
        self._plain_at = 0.0
        self.say(text)

    def say(self, text):
        if not self._quiet:
            print(text, file=self._out, flush=True)

    def show(self, moment):
        now = time.monotonic()
        if self._quiet or now - self._drawn_at < REDRAW_S:
            return
        self._drawn_at = now
        if self._live:
            self._redraw(self._table(moment))
        else:
            self._plain(moment)

    def end(self):
        """Leaves the last table standing."""
        self._height = 0

    def _redraw(self, lines):
        width, height = shutil.get_terminal_size()
        lines = [line[: width - 1] for line in lines][: height - 1]
        back = f"\033[{self._height}F" if self._height else ""
        self._out.write(back + "".join(f"\033[K{line}\n" for line in lines) + "\033[J")
        self._out.flush()
        self._height = len(lines)

    def _plain(self, moment):
        if moment.story is not None:
            for t_s, text in moment.story.lines[self._told :]:
                self.say(f"  {t_s:6.1f} s  {text}")
            self._told = len(moment.story.lines)
        if moment.t_s >= self._plain_at:
            self._plain_at = moment.t_s + PLAIN_EVERY_S
            self.say(f"  {moment.t_s:6.1f} s  {clients(moment)}; {gauge(moment)}")

    def _table(self, moment):
        mode = "with Foreshadow" if moment.mode == "foreshadow" else "control, without Foreshadow"
        lines = [
            f"── {moment.scene.name}: {moment.scene.title} ── {mode} ── {moment.t_s:5.1f} s",
            f"clients   {clients(moment)}",
            f"primary   {gauge(moment)}",
        ]
        if moment.mode == "foreshadow":
            lines += resource_lines(moment)
            lines.append("")
            lines += [f"  {t_s:6.1f} s  {text}" for t_s, text in moment.story.lines[-10:]]
        return lines


def clients(moment):
    load = moment.load
    if not load:
        return "starting"
    first = f", first at {load['first_failure_s']:.1f} s" if load["first_failure_s"] is not None else ""
    return (f"{load['requests']} requests, {load['failed']} failed{first}, longest {load['stall_ms_max']:.0f} ms, "
            f"{load['writes_acknowledged']} writes acknowledged")


def gauge(moment):
    seen = moment.gauge
    if seen is None:
        return "the first primary is dead"
    share = seen.used / seen.limit
    dead = "" if moment.primary_alive else " (the process it began with has ended)"
    return f"{bar(share)} {seen.label} {mib(seen.used)} of {mib(seen.limit)}{dead}"


def resource_lines(moment):
    resource = next((r for r in (moment.status or {}).get("resources", []) if r["name"] == moment.scene.resource), None)
    if resource is None:
        return ["          (status not known yet)"]
    outlook, table = resource["outlook"], resource["table"]
    lines = []
    if outlook and outlook["known"] and outlook["scores"]:
        score = outlook["scores"][-1]["score"]
        lines.append(f"score     {bar(score)} {score:.2f}")
        lines += [f"          {reason['text']}" for reason in outlook["reasons"][:2]]
    else:
        lines.append("score     unknown: not enough has been seen")
    step = "" if resource["step"] == "none" else f", {resource['step']}"
    blocked = f"; waits: {resource['blocked_why']}" if resource.get("blocked_why") else ""
    lines.append(f"phase     {resource['phase']}{step}, epoch {resource['epoch']}{blocked}")
    if table:
        other = table["other"]["id"] if table["other"] else "none"
        lines.append(f"serving   {table['current']['id']}; other side {other}")
        lines.append("segments  " + "  ".join(f"{r['segment']}: {r['other_weight']:.0%} moved, {r['mirror']:.0%} mirrored"
                                              for r in table["routes"]))
    lines.append("mirror    " + mirror_counts(moment.status, moment.scene.resource))
    outcome = resource["last_outcome"]
    if outcome:
        lines.append(f"old       {outcome['verdict']}: {outcome['why']}")
    elif resource["phase"] == "watching":
        lines.append("old       watched under mirrored work: will it fail as predicted?")
    return lines


def mirror_counts(status, resource):
    names = ("sent", "errors", "mismatched", "dropped")
    total = dict.fromkeys(names, 0)
    for report in (status or {}).get("gateways", []):
        if report["resource"] == resource:
            for segment in report["segments"]:
                for name in names:
                    total[name] += segment["mirror"][name]
    return ", ".join(f"{total[name]} {name}" for name in names)
