"""What goes wrong in one run, and when: all of it follows from the seed."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

STAGES = ("ingest", "hydrate", "trigger", "status", "retract")
LAYOUTS = (
    (STAGES, STAGES),
    tuple((stage,) for stage in STAGES),
    (("ingest", "hydrate"), ("trigger",), ("trigger",), ("status", "retract")),
)
"""Which stages share a process."""

SECONDS = 6.0
"""How long things go wrong; then all is mended, and everything has to come to its end."""


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault: when it begins (seconds), what it is, of which process, how long it lasts."""

    at: float
    kind: str
    process: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        lasts = f" for {self.seconds:.2f} s" if self.seconds else ""
        where = f" of process {self.process}" if self.kind.endswith("stage") else ""
        return f"{self.at:5.2f} s  {self.kind}{where}{lasts}"


@dataclass(frozen=True, slots=True)
class Plan:
    """One run: how many rows, which processes, and what strikes them."""

    seed: int
    rows: int
    processes: tuple[tuple[str, ...], ...]
    strikes: tuple[Strike, ...]


KINDS: dict[str, tuple[int, Callable[[Random], float]]] = {
    # How often, and how long it lasts.
    "kill stage": (6, lambda r: r.uniform(0.0, 1.0)),
    "freeze stage": (3, lambda r: r.uniform(0.2, 5.0)),
    "kill nats": (2, lambda r: r.uniform(0.0, 1.0)),
    "freeze nats": (1, lambda r: r.uniform(0.2, 2.0)),
    "kill postgres": (2, lambda r: r.uniform(0.0, 1.0)),
    "freeze postgres": (1, lambda r: r.uniform(0.2, 2.0)),
    "cut nats": (2, lambda r: 0.0),
    "cut postgres": (2, lambda r: 0.0),
    "cut novu": (2, lambda r: 0.0),
    "hole nats": (1, lambda r: r.uniform(0.2, 2.0)),
    "hole postgres": (1, lambda r: r.uniform(0.2, 2.0)),
    "hole novu": (1, lambda r: r.uniform(0.2, 2.0)),
    "wipe streams": (1, lambda r: 0.0),
    "lock rows": (2, lambda r: r.uniform(0.2, 5.0)),
    "forbid writes": (1, lambda r: r.uniform(0.2, 2.0)),
    "novu 429": (2, lambda r: r.uniform(0.2, 2.0)),
    "novu 500": (2, lambda r: r.uniform(0.2, 2.0)),
    "novu 503": (1, lambda r: r.uniform(0.2, 2.0)),
    "novu 401": (1, lambda r: r.uniform(0.2, 2.0)),
    "novu accepts and is silent": (3, lambda r: r.uniform(0.2, 2.0)),
    "novu accepts and hangs up": (3, lambda r: r.uniform(0.2, 2.0)),
    "novu slow": (1, lambda r: r.uniform(0.2, 2.0)),
}


def plan(seed: int, transport: str = "nats") -> Plan:
    """
    What this seed means on that transport.

    Where there is no NATS, what would strike it strikes Postgres. In memory, a process has all.
    """
    chance = Random(seed)
    processes = chance.choice(LAYOUTS)
    if transport == "memory":
        processes = (STAGES,) * len(processes)
    kinds = list(KINDS)
    weights = [often for often, _ in KINDS.values()]
    strikes = [
        Strike(
            chance.uniform(0.3, SECONDS),
            kind if transport == "nats" else kind.replace(" nats", " postgres"),
            chance.randrange(len(processes)),
            lasts,
        )
        for kind in chance.choices(kinds, weights, k=chance.randint(3, 9))
        for lasts in (KINDS[kind][1](chance),)
    ]
    return Plan(
        seed,
        chance.randint(150, 400),
        processes,
        tuple(sorted(strikes, key=lambda strike: strike.at)),
    )
