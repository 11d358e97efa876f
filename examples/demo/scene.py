"""What a scene is: a patient, a fault, a load, and the configuration that Foreshadow gets. Nothing in a scene knows whether
Foreshadow is there, and nothing in it acts on a timetable: it starts things and tells where they are.
"""

import dataclasses
import pathlib
import string

CONFIGS = pathlib.Path(__file__).resolve().parent / "configs"


@dataclasses.dataclass(frozen=True)
class Pace:
    """How long the fault takes to kill, and how far ahead Foreshadow is told to look."""

    life_s: float
    shadowing_horizon_s: float
    critical_horizon_s: float
    counterfactual_max_s: float


FULL = Pace(life_s=36, shadowing_horizon_s=30, critical_horizon_s=12, counterfactual_max_s=45)
SHORT = Pace(life_s=24, shadowing_horizon_s=20, critical_horizon_s=8, counterfactual_max_s=30)


@dataclasses.dataclass
class Gauge:
    """The number that the fault moves, as the operating system has it now."""

    label: str
    used: int
    limit: int


class Scene:
    name = ""
    title = ""
    resource = ""
    ledger_tables = ()

    def __init__(self, stage, build, seed, fault, pace):
        self.stage = stage
        self.build = build
        self.seed = seed
        self.fault = fault
        self.pace = pace

    def prepare(self):
        """Starts the primary and everything it needs; returns once it serves."""
        raise NotImplementedError

    def primary_port(self):
        raise NotImplementedError

    def load_argv(self, port, seconds):
        """The load generator's command against 127.0.0.1:port."""
        raise NotImplementedError

    def ledger_conninfo(self, port):
        """Where the ledger is read at the end; `port` is where the clients went."""
        raise NotImplementedError

    def gauge(self):
        """A Gauge of the first primary, or None once there is nothing to read."""
        raise NotImplementedError

    def primary_pid(self):
        raise NotImplementedError

    def config_values(self):
        raise NotImplementedError

    def write_config(self, listen_port):
        """Writes Foreshadow's configuration and returns its path."""
        template = string.Template((CONFIGS / f"{self.name}.yaml").read_text())
        values = {
            "state_dir": self.stage.dir / "state",
            "listen": f"127.0.0.1:{listen_port}",
            "shadowing_horizon": f"{self.pace.shadowing_horizon_s:g}s",
            "critical_horizon": f"{self.pace.critical_horizon_s:g}s",
            "counterfactual_max": f"{self.pace.counterfactual_max_s:g}s",
            **self.config_values(),
        }
        path = self.stage.dir / "foreshadow.yaml"
        path.write_text(template.substitute(values))
        return path
