"""
Takes what is private out of a text before it is logged or stored.

Two kinds of rule work together: what is known to be private (the row's own recipients and
values, handed in) and what looks private (addresses, numbers, keys).
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

LIMIT = 500
"""Characters of a redacted text at most."""

MARK = "…"
"""Stands for what was taken out."""

_SCANNED = 4_000
_SHORTEST = 4
_HEAD = 24
_GAP = re.compile(r" {2,}")


def _unless_a_name(found: re.Match[str]) -> str:
    return found[1] or MARK


_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_WORD = r"password|passwd|secret|api[_-]?key|token|authorization"
_FIRST = (
    (re.compile(r"(?<=://)([^\s/:@]{0,64}):\S{1,256}@"), rf"\1:{MARK}@"),
    (re.compile(r"\b(ApiKey|Bearer)\s+\S+", re.IGNORECASE), rf"\1 {MARK}"),
    (re.compile(rf"\b({_WORD})\b[\"']?\s?[=:]\s?[^\s,;&]+", re.IGNORECASE), rf"\1={MARK}"),
    (re.compile(r"\beyJ[\w-]++(?:\.[\w-]*+)*+"), MARK),
    (re.compile(r"\bsb_(?:secret|publishable)_[\w-]++"), MARK),
    (re.compile(r"[^\s@:/,;<>()\"'…]{1,64}@[^\s@:/,;<>()\"'…]{1,255}"), MARK),
)
_TOKENS = (
    (re.compile(r"(?<![a-zA-Z0-9+=])(?=[a-zA-Z+=]*\d)[a-zA-Z0-9+=]{20,}"), MARK),
    (re.compile(rf"(?<![\w=-])(?!{_UUID})(?=[a-zA-Z_=-]*\d)[\w=-]{{32,}}", re.ASCII), MARK),
)
_PHONE = r"\+?\d(?:[\s().-]{0,2}\d){6,}"
_OURS = (
    *_TOKENS,
    (re.compile(rf"(?<![\w-])(?!{_UUID}){_PHONE}(?![\w-])"), MARK),
)
# The name of a missing property is worth keeping; all else that is quoted may be a value.
_FOREIGN = (
    (re.compile(_UUID), MARK),
    *_TOKENS,
    (re.compile(_PHONE), MARK),
    (
        re.compile(
            r"""(property ['"][\w.-]{1,64}['"]|['"][\w.-]{1,64}['"] is a required property)"""
            r"""|"[^"]*(?:"|$)|(?<!\w)'[^']*(?:'(?!\w)|$)|`[^`]*(?:`|$)"""
        ),
        _unless_a_name,
    ),
)


def redact(text: str, *, also: Iterable[str] = (), foreign: bool = True) -> str:
    """
    A text without what is private in it: one line, at most LIMIT characters.

    Masked are all strings of ``also`` that have four characters or more (however cut off at
    their end), e-mail addresses, telephone numbers (7 digits or more), keys, tokens and the
    passwords of URLs. ``foreign`` is a text that someone else wrote: there UUIDs and quoted
    strings are masked as well, since they may be a recipient or a value.
    """
    known = set(_known(also))
    masked = _without(_one_line(text[:_SCANNED]), known)
    for pattern, replacement in (*_FIRST, *(_FOREIGN if foreign else _OURS)):
        masked = pattern.sub(replacement, masked)
    return _without(masked[:LIMIT], known).strip()


def leaves(value: object) -> Iterator[str]:
    """Every string and number inside a JSON value, as text."""
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, Mapping):
            pending.extend(cast("Mapping[str, object]", each).values())
        elif isinstance(each, list | tuple):
            pending.extend(cast("Sequence[object]", each))
        elif each is not None and not isinstance(each, bool):
            yield str(each)


def _one_line(text: str) -> str:
    if not text.isprintable():
        text = "".join(each if each.isprintable() else " " for each in text)
    return _GAP.sub(" ", text)


def _known(also: Iterable[str]) -> Iterator[str]:
    """The forms in which a private string may turn up: as it is, trimmed, or escaped as JSON."""
    for raw in also:
        if len(raw) < _SHORTEST:
            continue
        yield from (form for form in _forms(raw) if len(form) >= _SHORTEST)


def _forms(raw: str) -> Iterable[str]:
    if raw.isalnum():
        return (raw,) if raw.isascii() else (raw, json.dumps(raw)[1:-1])
    shown = _one_line(raw)
    escaped = (json.dumps(raw)[1:-1], json.dumps(raw, ensure_ascii=False)[1:-1])
    return (shown, shown.strip(), *map(_one_line, escaped))


def _without(text: str, known: set[str]) -> str:
    """Mask until nothing known is left: a mark itself may complete a string that holds one."""
    while True:
        # A payload may hold tens of thousands of values; few of them begin anywhere in the text.
        begun = {text[at : at + _SHORTEST] for at in range(len(text))}
        present = (secret for secret in known if secret[:_SHORTEST] in begun)
        masked = _masked(text, sorted(span for secret in present for span in _spans(text, secret)))
        if masked == text:
            return text
        text = masked


def _spans(text: str, secret: str) -> Iterator[tuple[int, int]]:
    """Where a string stands, or its beginning where it was cut off."""
    head = secret[:_HEAD]
    start = text.find(head)
    while start >= 0:
        whole = len(head) == len(secret)
        end = start + (len(head) if whole else _agreement(text[start:], secret))
        yield start, end
        start = text.find(head, max(start + 1, end - len(head) + 1))


def _agreement(one: str, other: str) -> int:
    """How many characters two texts have in common from their beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _masked(text: str, spans: Iterable[tuple[int, int]]) -> str:
    parts: list[str] = []
    done = 0
    for start, end in spans:
        if start >= done:
            parts += (text[done:start], MARK)
        done = max(done, end)
    return "".join((*parts, text[done:]))
