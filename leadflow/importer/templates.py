"""Texts with the columns of a row in them: `{opportunity_id}:won`."""

import re
from typing import Final

_PART: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class TemplateError(ValueError):
    """A template that cannot be read."""


def parts_of(template: str) -> list[tuple[str, str | None, bool]]:
    """Return *template* as (text before, column or None, whether the column may be empty).

    `{column}` must be filled, `{column?}` may be empty; `{{` and `}}` stand for the braces.
    Raises TemplateError where braces do not match or name nothing.
    """
    parts: list[tuple[str, str | None, bool]] = []
    text, end = "", 0
    for found in _PART.finditer(template):
        text += template[end : found.start()]
        end = found.end()
        if found[0] in {"{{", "}}"}:
            text += found[0][0]
        elif found[1] is None:
            raise TemplateError(f"has a lone {found[0]!r}")
        else:
            name = found[1].strip()
            optional = name.endswith("?")
            name = name.removesuffix("?").strip()
            if not name:
                raise TemplateError("has braces without a column")
            parts.append((text, name, optional))
            text = ""
    text += template[end:]
    if text:
        parts.append((text, None, True))
    return parts


def columns_of(template: str) -> list[str]:
    """Return the columns that *template* names, in order; raises TemplateError."""
    return [name for _, name, _ in parts_of(template) if name is not None]
