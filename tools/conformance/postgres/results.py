"""What a suite said, test by test, and how a run of it through the gateway differs from runs of it without.

The oracle is the direct run on the same machine, never a file of expectations: what a server of another minor version, locale or
configuration says differently is no matter of the gateway's. What two direct runs already tell differently is named so.
"""

import dataclasses

import classify

UNSTABLE = "direct runs differ"
LOST = "not run"

WHY = {**classify.WHY, UNSTABLE: "two direct runs do not agree either", LOST: "the suite ended, or was ended, before it"}


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Of one test. `outcome` is "passed", "failed" or "skipped". `text` is what it printed; where `exact`, that is compared to the
    letter, else only the outcome is, and the text explains."""

    outcome: str
    text: str = ""
    exact: bool = False

    def equals(self, other):
        return self.outcome == other.outcome and (not self.exact or self.text == other.text)


@dataclasses.dataclass(frozen=True)
class Difference:
    test: str
    name: str
    detail: str


@dataclasses.dataclass(frozen=True)
class Comparison:
    tests: int
    equal: int
    differences: list
    failed_direct: int
    failed_through: int


def compare(direct, through, handovers=0):
    """`direct`: one or several runs, `through`: one; each {test: Verdict}. A test is equal if it is so to any direct run."""
    names = list(dict.fromkeys(name for run in [*direct, through] for name in run))
    differences = []
    for name in names:
        seen = [run[name] for run in direct if name in run]
        got = through.get(name)
        if got is None or not any(got.equals(one) for one in seen):
            differences.append(_difference(name, seen, got, handovers))
    return Comparison(len(names), len(names) - len(differences), differences, _failed(direct[0]), _failed(through))


def _failed(run):
    return sum(1 for verdict in run.values() if verdict.outcome == "failed")


def _difference(name, seen, got, handovers):
    if got is None:
        return Difference(name, LOST, "through the gateway it was not run, or did not end")
    if not seen:
        return Difference(name, LOST, "it was not run directly, or did not end")
    if not all(one.equals(seen[0]) for one in seen):
        return Difference(name, UNSTABLE, f"direct: {', '.join(one.outcome for one in seen)}; through: {got.outcome}")
    kind, detail = classify.classify(seen[0].text, got.text, handovers)
    if seen[0].outcome != got.outcome:
        detail = f"{seen[0].outcome} directly, {got.outcome} through the gateway: {detail}"
    return Difference(name, kind, detail)
