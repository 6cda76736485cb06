"""A JSON schema in words: the fields of an object, each with what it may be."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

Schema = Mapping[str, Any]
_DEEPEST = 4
_KINDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "object",
    "array": "list",
}


class FieldRow(msgspec.Struct, frozen=True):
    """A field by its path (`events[].model`), and what it may be."""

    path: str
    kind: str
    required: bool
    note: str = ""


def fields_of(schema: Schema, schemas: Schema, path: str = "") -> Iterator[FieldRow]:
    """Every field of an object, those of the objects within it after it."""
    schema = _resolved(schema, schemas)
    required = schema.get("required", ())
    for name, inner in schema.get("properties", {}).items():
        where = f"{path}{name}"
        found = _resolved(inner, schemas)
        yield FieldRow(where, _kind(found, schemas), name in required, _note(inner))
        if where.count(".") < _DEEPEST:
            yield from _within(found, schemas, where)


def _within(schema: Schema, schemas: Schema, where: str) -> Iterator[FieldRow]:
    if schema.get("type") == "array":
        yield from fields_of(schema.get("items", {}), schemas, f"{where}[].")
    elif "properties" in schema:
        yield from fields_of(schema, schemas, f"{where}.")


def _resolved(schema: Schema, schemas: Schema) -> Schema:
    """What a reference stands for; of several forms the one that isn't null."""
    if "$ref" in schema:
        return _resolved(schemas[schema["$ref"].rsplit("/", 1)[-1]], schemas)
    forms = [form for form in _forms(schema) if form.get("type") != "null"]
    return _resolved(forms[0], schemas) if len(forms) == 1 else schema


def _forms(schema: Schema) -> list[Schema]:
    return [*schema.get("anyOf", ()), *schema.get("oneOf", ())]


def _kind(schema: Schema, schemas: Schema) -> str:
    if forms := _forms(schema):
        kinds = dict.fromkeys(_kind(_resolved(form, schemas), schemas) for form in forms)
        return " or ".join(kind for kind in kinds if kind)
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    kind = schema.get("type")
    if kind == "null":
        return ""
    if kind == "array":
        inner = _kind(_resolved(schema.get("items", {}), schemas), schemas)
        return _limited(f"list of {inner}" if inner else "list", schema)
    return _limited(_KINDS.get(str(kind), "any value"), schema)


def _limited(kind: str, schema: Schema) -> str:
    for least, most, unit in (
        ("minLength", "maxLength", " characters"),
        ("minimum", "maximum", ""),
        ("minItems", "maxItems", " values"),
        ("minProperties", "maxProperties", " entries"),
    ):
        low, high = schema.get(least), schema.get(most)
        if low is not None and high is not None:
            kind += f", {low:,} to {high:,}{unit}"
        elif high is not None:
            kind += f", at most {high:,}{unit}"
    if pattern := schema.get("pattern"):
        kind += f", of the form {pattern}"
    return kind


def _note(schema: Schema) -> str:
    default = schema.get("default")
    said = schema.get("description", "").replace("`", "")
    return f"{said} Default {default}.".strip() if default not in (None, "") else said
