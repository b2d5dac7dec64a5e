"""Malformed: what a producer did wrong, where, and how to mend it."""

from typing import Any, Final

import msgspec

MALFORMED_JSON: Final = "malformed_json"
INVALID_ENVELOPE: Final = "invalid_envelope"
INVALID_DATA: Final = "invalid_data"
TOO_LARGE: Final = "too_large"
NO_IDENTIFIER: Final = "no_identifier"

REASONS: Final = (MALFORMED_JSON, INVALID_ENVELOPE, INVALID_DATA, TOO_LARGE, NO_IDENTIFIER)
"""The reasons for which the contract refuses a record, as the dead letters name them."""

SHOWN: Final = 80
"""No message shows more characters of a value than this."""


def shorten(value: object) -> str:
    """Return *value* as JSON, cut to 80 characters; one line whatever the value holds."""
    if isinstance(value, str):
        value = value[: SHOWN + 1]  # never encode a long text to show its beginning
    elif isinstance(value, dict | list):
        kind = "an object" if isinstance(value, dict) else "a list"
        return f"{kind} of {len(value)}"
    elif isinstance(value, int) and abs(value) >= 10**SHOWN:
        return "an integer of more than 80 digits"  # too long for int-to-text conversion
    try:
        text = msgspec.json.encode(value).decode()
    except (TypeError, UnicodeError):
        text = ascii(value)
    text = one_line(text)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def one_line(text: str) -> str:
    """Return *text* with whatever a terminal would act on spelt out."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class Malformed(Exception):
    """The producer sent what the contract does not allow.

    ``reason`` is the dead letter's reason, ``field`` a dotted path such as ``data.person.email``
    (None where no field is at fault), ``value`` what stood there (at most 80 characters, None
    where nothing did), ``problem`` what is wrong with it and ``mend`` what to send instead.
    """

    def __init__(
        self, reason: str, field: str | None, problem: str, mend: str, *value: Any
    ) -> None:
        self.reason = reason
        self.field = field
        self.value = shorten(value[0]) if value else None
        self.problem = problem
        self.mend = mend
        super().__init__(reason, field, problem, mend)

    def __str__(self) -> str:
        """Return one line: field, value, problem, mend."""
        where = one_line(self.field or "record")
        if self.value is not None:
            where += f" = {self.value}"
        return f"{where}: {self.problem}; {self.mend}"
