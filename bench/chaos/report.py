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
        "seconds from the last fault to the last end": _spread(results),
    }
    lines = ["", "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in sums.items())]
    lines += ["", "| fault | times |", "|---|---|"]
    lines += [f"| {kind} | {count} |" for kind, count in sorted(faults.items())]
    return "\n".join(lines)


def _spread(results: Sequence[Result]) -> str:
    if not results:
        return ""
    recovered = sorted(result.recovered for result in results)
    return f"median {recovered[len(recovered) // 2]:.1f}, most {recovered[-1]:.1f}"
