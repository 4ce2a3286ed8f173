"""Rows that differ in everything private, and the forms in which it may be repeated."""

import base64
import html
import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in capitals": str.upper,
    "in small letters": str.lower,
    "with the cases swapped": str.swapcase,
    "percent-encoded": lambda text: quote(text, safe=""),
    "percent-encoded twice": lambda text: quote(quote(text, safe=""), safe=""),
    "as JSON": json.dumps,
    "as JSON within JSON": lambda text: json.dumps(json.dumps(text)),
    "as HTML": html.escape,
    "as HTML entities": lambda text: "".join(f"&#{ord(each)};" for each in text),
    "as base64": lambda text: base64.b64encode(text.encode(errors="replace")).decode(),
    "as hexadecimal": lambda text: text.encode(errors="replace").hex(),
    "decomposed": lambda text: unicodedata.normalize("NFKD", text),
    "backwards": lambda text: text[::-1],
    "spaced out": " ".join,
    "as Python shows it": repr,
    "cut at its end": lambda text: text[: len(text) * 2 // 3],
    "cut at its beginning": lambda text: text[len(text) // 3 :],
}
"""What may be done to a text so that no mask knows it again."""

SHORT = st.text("abcdefghijABCDEF0123456789äöü€'\"\\/ <&@.+-", min_size=1, max_size=12)
PEOPLE = (
    SHORT
    | st.emails()
    | st.uuids().map(str)
    | st.from_regex(r"\+49 1[0-9]{2} [0-9]{5}", fullmatch=True)
)
VALUES = PEOPLE | st.integers(0, 999).map(str) | st.sampled_from(["Al", "7", "ü", "no"])


@dataclass(frozen=True, slots=True)
class Private:
    """Everything of a row, and of the installation, that nobody else may see."""

    recipients: tuple[str, ...]
    payload: dict[str, Any]
    overrides: dict[str, Any]
    name: str
    tags: tuple[str, ...]
    key: str

    @property
    def words(self) -> str:
        """All of it, as one text."""
        told = [self.recipients, self.payload, self.overrides, self.name, self.tags, self.key]
        return json.dumps(told, ensure_ascii=False)


def rows() -> st.SearchStrategy[Private]:
    """Rows of one shape, with whatever in them."""
    payload = st.builds(lambda a, b, c: {a: {b: c}, "list": [b, {c: a}]}, VALUES, VALUES, VALUES)
    return st.builds(
        Private,
        recipients=st.tuples(PEOPLE, PEOPLE),
        payload=payload,
        overrides=st.builds(lambda a, b: {"email": {a: b}}, VALUES, VALUES),
        name=VALUES,
        tags=st.tuples(VALUES, VALUES),
        key=st.text("abcdefghijklmnop0123456789", min_size=8, max_size=40),
    )
