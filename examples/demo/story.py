"""The journal read as a story: what Foreshadow did and when, from its own records only.

A record is one line of `foreshadow events -o json`: {"seq", "at_ms", "type": "event"|"intent"|"snapshot", "resource", "name",
"body"}, its body an Event or an Effect, which has its own body in turn. An intent is an effect before it starts; the event
`effect_done` with the same id is its answer. Times told here are seconds since the load began.
"""


class Story:
    def __init__(self, resource):
        self.resource = resource
        self.began_ms = None
        self.lines = []  # (t_s, text), for people
        self.score = []  # [t_s, score within the shadowing horizon]
        self.outcome = None
        self.tuning = None
        self.policy = None
        self._waiting = []
        self._effects = {}
        self._at_ms = {}
        self._epoch = None

    def begin(self, began_ms):
        """When the load began, by the wall clock. Records may have come before."""
        self.began_ms = began_ms
        waiting, self._waiting = self._waiting, []
        for record in waiting:
            self.feed(record)

    def at(self, name):
        """When something first happened, in seconds: "shadow", "mirror", "shift", "critical", "hold", "handover"; or None."""
        return self._seconds(self._at_ms.get(name))

    def told(self):
        """The outcome is known and the thresholds have been looked at; what is left is the old primary's future."""
        return self.outcome is not None and self.tuning is not None

    def facts(self):
        """The report's fields that come from Foreshadow's side."""
        handover = self.at("handover")
        failed = self._seconds(self.outcome["failed_at"]) if self.outcome else None
        return {
            "score": self.score,
            "shadow_at_s": self.at("shadow"),
            "mirror_at_s": self.at("mirror"),
            "shift_at_s": self.at("shift"),
            "critical_at_s": self.at("critical"),
            "handover_began_at_s": self.at("hold"),
            "handover_at_s": handover,
            "counterfactual": {
                "failed_at_s": failed,
                "verdict": self.outcome["verdict"] if self.outcome else None,
                "load_ratio": self.outcome["load_ratio"] if self.outcome else None,
                "why": self.outcome["why"] if self.outcome else None,
            },
            "lead_s": round(failed - handover, 3) if failed is not None and handover is not None else None,
            "tuning": self.tuning,
        }

    def feed(self, record):
        if self.began_ms is None:
            self._waiting.append(record)
            return
        if record.get("resource") not in ("", None, self.resource):
            return
        if record["type"] == "intent":
            self._on_intent(record["at_ms"], record["name"], record["body"])
        elif record["type"] == "event":
            handler = getattr(self, f"_on_{record['name']}", None)
            if handler is not None:
                handler(record["at_ms"], record["body"]["body"])

    def _seconds(self, at_ms):
        if at_ms is None or self.began_ms is None:
            return None
        return round((at_ms - self.began_ms) / 1000, 3)

    def _tell(self, at_ms, text):
        self.lines.append((self._seconds(at_ms), text))

    def _first(self, name, at_ms):
        """Notes the first time; says whether it was."""
        if name in self._at_ms:
            return False
        self._at_ms[name] = at_ms
        return True

    def _on_intent(self, at_ms, name, body):
        effect = body["body"]
        self._effects[body["id"]] = (name, effect)
        if name == "hold" and self._first("hold", at_ms):
            self._tell(at_ms, "handover: holding new work at the gateway")
        elif name in ("provision", "replicate", "fence", "promote", "rejoin", "retire", "release", "revive"):
            self._tell(at_ms, f"{name} begins")
        elif name == "page":
            self._tell(at_ms, f"page: {effect['text']}")

    def _on_effect_done(self, at_ms, body):
        name, effect = self._effects.get(body["id"], (None, None))
        if name is None:
            return
        if body["error"] is not None:
            self._tell(at_ms, f"{name} failed: {body['error']['what']}")
            return
        if name == "provision":
            self._first("shadow", at_ms)
            instance = body["instance"]
            self._tell(at_ms, f"shadow {instance['id']} stands at {instance['endpoint']['host']}:{instance['endpoint']['port']}")
        elif name == "steer":
            self._on_table(at_ms, effect["table"])
        elif name == "retire":
            self._tell(at_ms, f"old primary retired: {body['detail']}")
        elif name in ("replicate", "prove_equal", "fence", "check_fenced", "promote", "rejoin"):
            self._tell(at_ms, f"{name} done: {body['detail'] or body['proof']}")

    def _on_table(self, at_ms, table):
        if self._epoch is None:
            self._epoch = table["epoch"]
        elif table["epoch"] > self._epoch:
            self._epoch = table["epoch"]
            if self._first("handover", at_ms):
                self._tell(at_ms, f"handed over: {table['current']['id']} serves, epoch {table['epoch']}")
            return
        if "handover" in self._at_ms:
            return
        if any(route["mirror"] > 0 for route in table["routes"]) and self._first("mirror", at_ms):
            self._tell(at_ms, "mirroring to the shadow")
        moved = {route["segment"]: route["other_weight"] for route in table["routes"] if route["other_weight"] > 0}
        if moved:
            self._first("shift", at_ms)
            self._tell(at_ms, "shifted: " + ", ".join(f"{name} {weight:.0%}" for name, weight in moved.items()))

    def _on_policy_set(self, _at_ms, body):
        self.policy = body["policy"]

    def _on_outlook(self, at_ms, body):
        outlook = body["outlook"]
        if not outlook["known"] or not outlook["scores"]:
            return
        self.score.append([self._seconds(at_ms), round(score_within(outlook, self._rule("shadowing")["horizon"]), 4)])
        for name in ("shadowing", "critical"):
            rule = self._rule(name)
            score = score_within(outlook, rule["horizon"])
            if score >= rule["threshold"] and self._first(name, at_ms):
                reasons = "; ".join(reason["text"] for reason in outlook["reasons"][:2])
                self._tell(at_ms, f"score {score:.2f} within {rule['horizon'] / 1000:g} s crosses the {name} threshold: {reasons}")

    def _rule(self, name):
        if self.policy is not None:
            return self.policy[name]
        return {"shadowing": {"threshold": 0.5, "horizon": 900_000}, "critical": {"threshold": 0.8, "horizon": 300_000}}[name]

    def _on_outcome(self, at_ms, body):
        self.outcome = body["outcome"]
        self._first("outcome", at_ms)
        self._tell(at_ms, f"outcome: {self.outcome['verdict']}. {self.outcome['why']}")

    def _on_tuned(self, at_ms, body):
        if self.outcome is None:
            return
        self.tuning = body["tuning"]
        self._tell(at_ms, f"tuning: shadowing {self.tuning['shadowing_threshold']:.2f}, critical "
                          f"{self.tuning['critical_threshold']:.2f}. {self.tuning['why']}")


def score_within(outlook, horizon_ms):
    """As Outlook::score_within: the score at the smallest horizon not below the wanted one, else at the longest."""
    for entry in outlook["scores"]:
        if entry["horizon"] >= horizon_ms:
            return entry["score"]
    return outlook["scores"][-1]["score"] if outlook["scores"] else 0.0
