"""
What may be told of a text before it is logged or stored.

What a stranger wrote is never passed on: he may have been handed something private, and may repeat
it in any form. ``phrases_in`` tells which of a closed list of phrases stand in it, nothing else.
What XNovu itself wrote holds nothing private; ``redact`` is a second net beneath it, which takes
out what looks like an address, a number or a key.
"""

import re

LIMIT = 500
"""Characters of a text that is told, at most."""

MARK = "…"
"""Stands for what is not told."""

_SCANNED = 4_000
_GAP = re.compile(r" {2,}")

_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_WORD = r"password|passwd|secret|api[_-]?key|token|authorization"
_PHONE = r"\+?\d(?:[\s().-]{0,2}\d){6,}"
_RULES = (
    (re.compile(r"(?<=://)([^\s/:@]{0,64}):\S{1,256}@"), rf"\1:{MARK}@"),
    (re.compile(r"\b(ApiKey|Bearer)\s+\S+", re.IGNORECASE), rf"\1 {MARK}"),
    (re.compile(rf"\b({_WORD})\b[\"']?\s?[=:]\s?[^\s,;&]+", re.IGNORECASE), rf"\1={MARK}"),
    (re.compile(r"\beyJ[\w-]++(?:\.[\w-]*+)*+"), MARK),
    (re.compile(r"\bsb_(?:secret|publishable)_[\w-]++"), MARK),
    (re.compile(r"[^\s@:/,;<>()\"'…]{1,64}@[^\s@:/,;<>()\"'…]{1,255}"), MARK),
    (re.compile(r"(?<![a-zA-Z0-9+=])(?=[a-zA-Z+=]*\d)[a-zA-Z0-9+=]{20,}"), MARK),
    (re.compile(rf"(?<![\w=-])(?!{_UUID})(?=[a-zA-Z_=-]*\d)[\w=-]{{32,}}", re.ASCII), MARK),
    (re.compile(rf"(?<![\w-])(?!{_UUID}){_PHONE}(?![\w-])"), MARK),
)


def phrases_in(text: str, known: re.Pattern[str]) -> str:
    """
    The known phrases that stand in a stranger's text, in order; MARK for all that is between.

    ``known`` must match nothing but fixed words: whatever it matches is told.
    """
    scanned = text[:_SCANNED]
    told: list[str] = []
    done = 0
    for found in known.finditer(scanned):
        if scanned[done : found.start()].strip():
            told.append(MARK)
        told.append(found[0])
        done = found.end()
    if scanned[done:].strip() or len(text) > _SCANNED:
        told.append(MARK)
    return " ".join(told)[:LIMIT]


def redact(text: str) -> str:
    """
    A text of our own without what looks private in it: one line, at most LIMIT characters.

    Masked are e-mail addresses, telephone numbers (7 digits or more), keys, tokens and the
    passwords of URLs.
    """
    masked = _one_line(text[:_SCANNED])
    for pattern, replacement in _RULES:
        masked = pattern.sub(replacement, masked)
    return masked[:LIMIT].strip()


def _one_line(text: str) -> str:
    if not text.isprintable():
        text = "".join(each if each.isprintable() else " " for each in text)
    return _GAP.sub(" ", text)
