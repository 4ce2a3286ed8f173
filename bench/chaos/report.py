"""All runs in one table."""

from collections import Counter
from collections.abc import Sequence

from bench.chaos.run import Result


def summary(results: Sequence[Result]) -> str:
    """Seeds, faults by kind, rows, and what was wrong; in Markdown."""
    faults: Counter[str] = Counter()
    for result in results:
        faults.update(result.faults)
    sums = {
        "seeds": len(results),
        "rows": sum(result.rows for result in results),
        "retracted": sum(result.retracted for result in results),
        "sent again by an operator": sum(result.redriven for result in results),
        "faults": faults.total(),
        "**lost**": sum(len(result.lost) for result in results),
        "**doubled**": sum(len(result.doubled) for result in results),
        "**stuck**": sum(len(result.stuck) for result in results),
        "wrong end": sum(len(result.wrong) for result in results),
        "repeats that Novu itself dropped": sum(result.repeats for result in results),
        "stages that ended by themselves": sum(result.crashed for result in results),
        "seconds from the last fault to the last end": _spread([r.recovered for r in results]),
        "seconds that a seed took": _spread([r.seconds for r in results]),
    }
    lines = ["", "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in sums.items())]
    lines += ["", "| fault | times |", "|---|---|"]
    lines += [f"| {kind} | {count} |" for kind, count in sorted(faults.items())]
    return "\n".join(lines)


def _spread(seconds: Sequence[float]) -> str:
    if not seconds:
        return ""
    ordered = sorted(seconds)
    return f"median {ordered[len(ordered) // 2]:.1f}, most {ordered[-1]:.1f}"
