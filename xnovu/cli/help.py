"""How a command's help ends."""


def examples(*lines: str) -> str:
    """The end of a command's help, in Markdown: an example a line."""
    title = "Examples" if len(lines) > 1 else "Example"
    return "\n".join((f"{title}:", *(f"- `{line}`" for line in lines)))
