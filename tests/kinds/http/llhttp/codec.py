"""What our codec makes of streams of messages, told by the program beside this file (verdict.cpp)."""

import dataclasses
import json
import re
import subprocess


@dataclasses.dataclass
class Message:
    start: tuple  # (method, target) or (status, reason)
    fields: list  # of (name, value)
    body: bytes = b""
    whole: bool = False


@dataclasses.dataclass
class Verdict:
    messages: list
    # idle: between messages; more: within one; closed: the last ends its connection; upgrade: what follows is not HTTP.
    end: str
    why: str = ""
    at: int = 0  # where the last message began
    rest: int = 0  # bytes behind the end

    @property
    def refused(self):
        return self.end == "refused"


def judge(program, streams):
    """Verdicts on (kind, bytes): kind is request, response or head (an answer to HEAD)."""
    sent = b"".join(b"%s %d\n%s" % (kind.encode(), len(data), data) for kind, data in streams)
    said = subprocess.run([program], input=sent, stdout=subprocess.PIPE, check=True, timeout=60).stdout
    verdicts = [read(json.loads(line)) for line in said.splitlines()]
    if len(verdicts) != len(streams):
        raise RuntimeError(f"{len(verdicts)} verdicts on {len(streams)} streams")
    return verdicts


def read(said):
    def message(one):
        first, second = one["start"]
        start = (int(first) if len(first) == 3 else bytes.fromhex(first), bytes.fromhex(second))
        fields = [(bytes.fromhex(name), bytes.fromhex(value)) for name, value in one["fields"]]
        return Message(start, fields, bytes.fromhex(one["body"]), one["whole"])

    return Verdict([message(one) for one in said["messages"]], said["end"], said["why"], said["at"], said["rest"])


def judge_with_host(program, streams):
    """As judge(), but a request without Host is given one: llhttp leaves that to its users, and without it we would
    refuse before anything interesting is read. Such a field is not in the verdicts. Returns them and the streams as
    they were judged."""
    streams, given = list(streams), [[] for _ in streams]
    verdicts = judge(program, streams)
    while lacking := [i for i, verdict in enumerate(verdicts) if verdict.refused and verdict.why == "no Host"]:
        for i in lacking:
            kind, data = streams[i]
            line_end = data.index(b"\r\n", data.index(b" ", verdicts[i].at)) + 2
            absolute = re.match(rb"\s*\S+ \w+://([^/? ]*)", data[verdicts[i].at:])
            host = absolute[1] if absolute else b""
            streams[i] = (kind, data[:line_end] + b"Host: " + host + b"\r\n" + data[line_end:])
            given[i].append(len(verdicts[i].messages))
        for i, verdict in zip(lacking, judge(program, [streams[i] for i in lacking])):
            verdicts[i] = verdict
    for verdict, messages in zip(verdicts, given):
        for i in messages:
            if i < len(verdict.messages):
                del verdict.messages[i].fields[0]
    return verdicts, streams
