"""Every code that a row's error_details may have is in docs/table.md."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOT_A_ROWS = {
    "insert_unclear",  # of `xnovu send` and embedding: there is no row, or nobody knows of it
    "insert_unfinished",
    "unread",  # a consumer's, of a kind of event that it does not take
    "too_many_recipients",  # of one call to the provider: trigger makes as many as a row needs
}
ENDS = ("Permanent", "Dead", "Expired", "unpublishable")


def stated() -> set[str]:
    """The codes with which work is given up, as the source has them."""
    found = {"expired", "exhausted"}
    for file in (ROOT / "xnovu").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ENDS:
                found |= {
                    keyword.value.value
                    for keyword in node.keywords
                    if keyword.arg == "code" and isinstance(keyword.value, ast.Constant)
                }
    return found - NOT_A_ROWS


def documented() -> set[str]:
    text = (ROOT / "docs/table.md").read_text().partition("## `error_details`")[2]
    return set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))


def test_each_code_is_documented():
    assert stated() - documented() == set()


def test_what_is_documented_is_a_code_of_ours():
    source = "".join(
        file.read_text()
        for pattern in ("*.py", "*.sql")
        for file in (ROOT / "xnovu").rglob(pattern)
    )
    assert {code for code in documented() if code not in source} == set()
