"""JSON Schemas and descriptions of the vocabulary, made from the models and never by hand."""

from typing import Any, Final, NamedTuple

from pydantic import TypeAdapter

from consumers.blocks import Actor, Common, Company, Consent, Envelope, Person, Touch
from consumers.registry import TYPES, UNKNOWN_TYPE, EventType

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
VERSION: Final = "1.0"
"""Version of ``data`` that the schemas describe, as ``dataschema`` names it."""


class FieldText(NamedTuple):
    """One field as documentation shows it."""

    name: str
    shape: str
    """Its JSON type, or the values allowed."""
    required: bool
    text: str


class TypeText(NamedTuple):
    """A type of event, or a block, as documentation shows it."""

    name: str
    family: str
    title: str
    needs_identifier: bool
    fields: tuple[FieldText, ...]
    """Its own, without the blocks that every type may carry."""


def schema(type_: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of an event of *type_*, envelope and data.

    Raises KeyError if the vocabulary has no such type.
    """
    kind = TYPES[type_]
    envelope = TypeAdapter(Envelope).json_schema()
    data = TypeAdapter(kind.model).json_schema()
    definitions = data.pop("$defs", {})
    data.pop("title", None)
    if kind.money:
        data["if"] = {
            "required": ["amount"],
            "properties": {"amount": {"not": {"type": "null"}}},
        }
        data["then"] = {
            "required": ["currency"],
            "properties": {"currency": {"type": "string"}},
        }
    properties = envelope["properties"]
    properties["type"] = {"const": type_, "description": properties["type"]["description"]}
    text = data.pop("description", kind.title)
    properties["data"] = data if data.get("required") else {"anyOf": [data, {"type": "null"}]}
    properties["data"]["description"] = text
    required = [*envelope["required"], *(["data"] if data.get("required") else [])]
    found: dict[str, Any] = {
        "$schema": DIALECT,
        "$id": f"urn:leadflow:schema:{type_}:{VERSION}",
        "title": type_,
        "description": kind.title,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
        "$defs": definitions,
    }
    if kind.needs_identifier:
        found["anyOf"] = [{"required": ["subject"]}, *map(_identified, _IDENTIFIERS)]
    return found


_IDENTIFIERS: Final = ("email", "phone", "anonymous_id", "external_ids")


def _identified(field: str) -> dict[str, Any]:
    """Return the schema of an event whose person block has *field*."""
    person = {"type": "object", "required": [field]}
    data = {"type": "object", "required": ["person"], "properties": {"person": person}}
    return {"required": ["data"], "properties": {"data": data}}


def schemas() -> dict[str, dict[str, Any]]:
    """Return the schema of every type, by type, in the vocabulary's order."""
    return {type_: schema(type_) for type_ in TYPES}


def describe_types() -> list[TypeText]:
    """Return every type with its own fields, in the vocabulary's order."""
    return [_describe(kind) for kind in TYPES.values()]


def describe_blocks() -> list[TypeText]:
    """Return the envelope and the blocks that every type may carry, with their fields."""
    blocks = (
        ("envelope", Envelope),
        ("person", Person),
        ("person.company", Company),
        ("touch", Touch),
        ("actor", Actor),
        ("consent", Consent),
    )
    return [_describe(UNKNOWN_TYPE, name, model) for name, model in blocks]


def _describe(kind: EventType, name: str = "", model: Any = None) -> TypeText:
    own = TypeAdapter(model or kind.model).json_schema()
    required = own.get("required", [])
    blocks = () if model else Common.__annotations__
    fields = tuple(
        FieldText(field, _shape(found), field in required, found.get("description", ""))
        for field, found in own.get("properties", {}).items()
        if field not in blocks
    )
    if model:
        title = (model.__doc__ or "").partition("\n")[0]
        return TypeText(name, "", title, needs_identifier=False, fields=fields)
    return TypeText(kind.name, kind.family, kind.title, kind.needs_identifier, fields)


def _shape(found: dict[str, Any]) -> str:
    """Return the JSON type of a field in a word or two; null, which is missing, goes unsaid."""
    if "anyOf" in found:
        parts = [_shape(part) for part in found["anyOf"] if part.get("type") != "null"]
        return " or ".join(dict.fromkeys(parts))
    if "enum" in found:
        return ", ".join(map(str, found["enum"]))
    if "const" in found:
        return str(found["const"])
    if "$ref" in found:
        block = str(found["$ref"]).rpartition("/")[2].lower()
        return block if block in Person.__annotations__ else "object"
    if found.get("type") == "array":
        return f"list of {_shape(found.get('items', {}))}"
    return str(found.get("type", "any"))
