"""Reads the tests of llhttp (test/request/*.md and test/response/*.md of nodejs/llhttp): each is a heading, a comment
with JSON, a block of HTTP with escapes, and a block with the events that llhttp reports. The files are not ours and
stand elsewhere; `./dev test` fetches them."""

import dataclasses
import json
import re

from codec import Message, Verdict

# llhttp's error codes that are no refusals of what was read.
PAUSES_AFTER_UPGRADE = (22, 23)
DATA_AFTER_CLOSE = 5
LINE_ENDS = {"cr": "\r", "lf": "\n"}


@dataclasses.dataclass
class Snippet:
    where: str  # file:line of its heading
    mode: str  # request, response, or one of their -lenient- and -finish forms
    skips_body: bool
    data: bytes
    expected: Verdict


def read(directory):
    snippets = []
    for path in sorted(directory.glob("re*/*.md")):
        snippets += read_file(path, f"{path.parent.name}/{path.name}")
    return snippets


def read_file(path, name):
    heading, meta, block, blocks, snippets = 0, None, None, {}, []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if block is not None:
            if line == "```":
                if block == "log":
                    snippets.append(snippet(f"{name}:{heading}", meta, blocks["http"], blocks["log"]))
                block = None
            else:
                blocks[block].append(line)
        elif line.startswith("```"):
            block = line[3:]
            blocks[block] = []
        elif line.startswith("#"):
            heading = number
        elif found := re.match(r"<!-- meta=(\{.*\}) -->", line):
            meta = json.loads(found[1])
    return snippets


def snippet(where, meta, http, log):
    return Snippet(where, meta["type"], bool(meta.get("skipBody")), unescape(http), events(log))


def unescape(lines):
    text = "\n".join(lines)
    text = re.sub(r"\\\n", "", text).replace("\n", "\r\n")
    for escape, plain in (("\\r", "\r"), ("\\n", "\n"), ("\\t", "\t"), ("\\f", "\f")):
        text = text.replace(escape, plain)
    text = re.sub(r"\\x([0-9a-fA-F]+)", lambda found: chr(int(found[1], 16)), text)
    text = re.sub(r"\\([0-7]{1,3})", lambda found: chr(int(found[1], 8)), text)
    if "${" in text:
        raise ValueError(f"an expression in JavaScript, which is not read here: {text!r}")
    return text.encode("utf-8")


def events(lines):
    """llhttp's events as the verdict that they amount to."""
    verdict = Verdict([], "idle")
    spans = {}
    for line in lines:
        event = re.sub(r"^off=\S+ ", "", line.strip("/^$"))
        if found := re.match(r'len=\d+ span\[(\w+)\]=(?:"(.*)"|(cr|lf))$', event):
            what, text = found[1], found[2]
            text = LINE_ENDS[found[3]] if text is None else text.replace("\\t", "\t").replace("\\f", "\f")
            text = text.encode("utf-8")
            if what == "body":
                verdict.messages[-1].body += text
            else:
                spans[what] = spans.get(what, b"") + text
        elif event == "message begin":
            verdict.end, spans = "more", {}
        elif event == "header_value complete":
            spans.setdefault("fields", []).append((spans.pop("header_field"), spans.pop("header_value", b"").strip()))
        elif found := re.match(r"headers complete (?:method=\d+|status=(\d+)) ", event):
            start = (int(found[1]), spans.get("status", b"")) if found[1] else (spans.get("method"), spans.get("url"))
            verdict.messages.append(Message(start, list(spans.pop("fields", []))))
            spans = {}
        elif event == "message complete":
            verdict.messages[-1].whole, verdict.end = True, "idle"
        elif found := re.match(r'error code=(\d+) reason="(.*)"$', event):
            code, reason = int(found[1]), found[2]
            verdict.end = ("upgrade" if code in PAUSES_AFTER_UPGRADE else "closed" if code == DATA_AFTER_CLOSE
                           else "refused")
            verdict.why = reason
        elif re.match(r"finish=[012]$", event):
            # The end of the input: 2 says that a message is cut.
            verdict.end = "more" if event.endswith("2") else "idle" if verdict.end != "more" else "more"
    return verdict
