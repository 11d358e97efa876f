"""Holds our codec against llhttp's own tests, snippet by snippet. Usage: corpus_test.py PROGRAM [--differences]"""

import collections
import sys

import codec
import corpus
import fetched
from differences import DIFFERENCES, REASONS

SNIPPETS = 251


def kind_of(snippet):
    if snippet.mode.startswith("request"):
        return "request"
    return "head" if snippet.skips_body else "response"


def plain(verdict):
    """What is compared: a message that closes its connection, with nothing behind it, is as good as an idle one."""
    end = "idle" if verdict.end == "closed" and verdict.rest == 0 and not verdict.why else verdict.end
    return [(m.start, m.fields, m.body, m.whole) for m in verdict.messages], end


def without_fragment(snippet):
    """For tests of codings: we would refuse their target for its fragment and read no further."""
    if snippet.where.startswith("request/transfer-encoding.md"):
        snippet.data = snippet.data.replace(b"#", b"-", 1)
        for message in snippet.expected.messages:
            message.start = (message.start[0], message.start[1].replace(b"#", b"-"))
    return snippet


def difference(snippet, ours, ours_when_whole):
    """How the two differ in a word, or None."""
    theirs = snippet.expected
    # We decide when a head is whole, llhttp at its first wrong byte.
    refused = ours.refused or ours.end == "more" and ours_when_whole.refused
    # What llhttp takes only when told to be lenient we are free to refuse.
    if refused and (theirs.refused or "-lenient-" in snippet.mode):
        return None
    if ours.refused:
        return f"we refuse: {ours.why}"
    if theirs.refused:
        return f"we take what is: {theirs.why}"
    return None if plain(ours) == plain(theirs) else "we read it otherwise"


def main(program, show=False):
    snippets = [without_fragment(snippet) for snippet in corpus.read(fetched.corpus())]
    streams = [(kind_of(s), s.data) for s in snippets]
    verdicts, judged = codec.judge_with_host(program, streams)
    when_whole, _ = codec.judge_with_host(program, [(kind, data + b"\r\n\r\n") for kind, data in judged])
    found = {}
    for snippet, ours, whole in zip(snippets, verdicts, when_whole):
        if what := difference(snippet, ours, whole):
            found[snippet.where] = what
            if show:
                print(f'    "{snippet.where}": ("{what}", ""),  # {snippet.mode}')
                if not ours.refused:
                    print(f"#      {snippet.data}\n#      ours {plain(ours)}\n#      llhttp {plain(snippet.expected)}")

    wrong = [f"{where}: {what}: not classified" for where, what in found.items() if where not in DIFFERENCES]
    for where, (what, reason) in DIFFERENCES.items():
        if found.get(where, what) != what:
            wrong.append(f"{where}: {found[where]}: classified as '{what}'")
        if where not in found:
            wrong.append(f"{where}: no difference any more; take it out of the table")
        if reason not in REASONS:
            wrong.append(f"{where}: there is no reason '{reason}'")
    wrong += [f"reason '{reason}' is not used" for reason in REASONS.keys() - {r for _, r in DIFFERENCES.values()}]
    if len(snippets) != SNIPPETS:
        wrong.append(f"{len(snippets)} snippets, not {SNIPPETS}")
    print("\n".join(wrong))
    by_reason = collections.Counter(reason for _, reason in DIFFERENCES.values())
    print(f"{len(snippets)} snippets, {len(found)} differences: " +
          ", ".join(f"{n} {reason}" for reason, n in by_reason.most_common()))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], "--differences" in sys.argv))
