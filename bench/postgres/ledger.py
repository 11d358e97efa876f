"""Whether any transaction was lost, done twice, done although its client was told otherwise, or done in part. Pure but for asking the
server; tested in tests/bench.

Every transaction of the load writes its id and its delta into pgbench_history, in the same transaction in which it adds the delta to an
account, a teller and a branch. The loader notes what it was told of each (bench/postgres/run.hpp).
"""

OUTCOMES = ("acknowledged", "unknown", "failed")
# What must be zero, whatever happened.
WRONG = ("lost", "doubled", "done_although_failed", "never_sent", "unbalanced")
# Whose sum of deltas is not what its history says: something was done in part, or undone in part.
UNBALANCED = """
SELECT (SELECT count(*) FROM pgbench_branches t LEFT JOIN (SELECT bid, sum(delta) AS d FROM pgbench_history GROUP BY bid) h USING (bid)
        WHERE t.bbalance <> coalesce(h.d, 0))
     + (SELECT count(*) FROM pgbench_tellers t LEFT JOIN (SELECT tid, sum(delta) AS d FROM pgbench_history GROUP BY tid) h USING (tid)
        WHERE t.tbalance <> coalesce(h.d, 0))
     + (SELECT count(*) FROM pgbench_accounts t LEFT JOIN (SELECT aid, sum(delta) AS d FROM pgbench_history GROUP BY aid) h USING (aid)
        WHERE t.abalance <> coalesce(h.d, 0))
"""
PRESENT = "SELECT rtrim(filler), count(*) FROM pgbench_history WHERE filler IS NOT NULL GROUP BY 1"


def check(told, present, unbalanced=0):
    """`told`: lines `ID OUTCOME WHEN` of the loader; `present`: {id: how often the database has it}.

    How many of each outcome there were, and of each wrong: `lost` acknowledged and not there, `doubled` there more than once,
    `done_although_failed` there though its client was told that it failed, `never_sent` there though no client ever began it.
    """
    outcomes = dict(line.split()[:2] for line in told)
    strange = set(outcomes.values()) - set(OUTCOMES)
    if strange:
        raise ValueError(f"the loader's ledger has outcomes that do not exist: {', '.join(sorted(strange))}")
    found = dict.fromkeys(OUTCOMES + WRONG, 0)
    for name, outcome in outcomes.items():
        found[outcome] += 1
        times = present.get(name, 0)
        found["lost"] += outcome == "acknowledged" and times == 0
        found["done_although_failed"] += outcome == "failed" and times > 0
    found["doubled"] = sum(times > 1 for times in present.values())
    found["never_sent"] = sum(name not in outcomes for name in present)
    found["unbalanced"] = unbalanced
    return found


def wrong(found):
    """How much of it must not be."""
    return sum(found[name] for name in WRONG)


def check_server(connection, files):
    """The same of a server whose clients are gone: `files` are the ledgers of all its loads."""
    told = (line for file in files for line in file.read_text().splitlines())
    present = {name: int(times) for name, times in connection.query(PRESENT)}
    return check(told, present, int(connection.value(UNBALANCED)))
