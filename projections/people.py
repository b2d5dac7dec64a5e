"""Who the leads are: personal columns, which no other read model has."""

from typing import Final

from projections.schema import keys, read_model, text

NAME: Final = "people"
VERSION: Final = 1

people = read_model(
    NAME,
    "Who the lead is: personal data, which no other read model holds",
    *keys(),
    text("name", "Latest known name"),
    text("email", "Latest known e-mail address"),
    text("phone", "Latest known telephone number"),
    text("identifiers", "JSON array of [kind, value], in order of first appearance", null=False),
)
