"""The OpenAPI 3.1 document, made from the same declarations as the routes.

Source: OpenAPI Specification 3.1.1; JSON Schema 2020-12.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from server import VERSION
from server.access_control.permissions import RULES, Who
from server.api.operation import JSON, Area, Header, Operation
from server.api.problem import CONTENT_TYPE, Problem

_REF = "#/components/schemas/{name}"
_PROBLEM = {"content": {CONTENT_TYPE: {"schema": {"$ref": _REF.format(name="Problem")}}}}
_REASONS: Mapping[int, str] = {
    400: "A parameter, a header or the body cannot be read",
    401: "Credentials are missing or wrong",
    403: "A right is missing (`right` names it), or the membership is closed",
    404: "There is nothing of that name",
    406: "No form that was asked for",
    409: "The present state does not allow it, or the Idempotency-Key is in use",
    412: "It is in another version now",
    413: "The body is larger than `[http] body_bytes_max`, or `[holdings] file_bytes_max`",
    415: "The body is of a type that is not read here",
    422: "The content is not valid, or the Idempotency-Key was used for another request",
    428: "No version is named",
    429: "Too many requests; `Retry-After` says when to come again",
}
_HEADERS: Mapping[int, Mapping[str, str]] = {
    201: {"Location": "Where it is"},
    202: {"Location": "Where its state is"},
    401: {"WWW-Authenticate": "HTTP Basic and Bearer, as fits the client"},
    429: {"Retry-After": "Seconds"},
}
_DESCRIPTION = """\
Everything that members and operators do with the union catalogue beside searching, which
SRU and Z39.50 are for. Sign in with HTTP Basic, or with an API key as Bearer; a script in
a page of ours uses the browser's session and sends its form token as `X-CSRF-Token`.

Times are UTC (RFC 3339), days and years those of China, money is in whole fen. Errors are
problem documents (RFC 9457) in English and Chinese. Lists come in pages: `limit`, and
`cursor` from `next_cursor` or the `Link` header. Every POST takes an `Idempotency-Key`.
"""


def document(areas: Sequence[Area]) -> dict[str, Any]:
    """The whole document, ready to be written as JSON."""
    operations = [each for area in areas for each in area.operations]
    types: dict[Any, None] = {Problem: None}
    for each in operations:
        for kind in (each.body_type, each.json_type, each.value_type):
            if _is_struct(kind):
                types[kind] = None
    schemas, components = msgspec.json.schema_components(tuple(types), ref_template=_REF)
    names = dict(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, names)
    made = {
        "openapi": "3.1.0",
        "info": {
            "title": "Lianmu 联目", "version": VERSION, "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": area.tag, "description": area.description} for area in areas],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": _refusals(),
            "securitySchemes": {
                "password": {"type": "http", "scheme": "basic"},
                "key": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "lianmu_session"},
                "form_token": {"type": "apiKey", "in": "header", "name": "X-CSRF-Token"},
            },
        },
    }  # fmt: skip
    renamed: dict[str, Any] = _renamed(made)
    return renamed


def _is_struct(kind: Any) -> bool:
    origin = getattr(kind, "__origin__", kind)
    return isinstance(origin, type) and issubclass(origin, msgspec.Struct)


def _operation(operation: Operation, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
    }
    if operation.replaced_by:
        told["deprecated"] = True
    if operation.description:
        told["description"] = operation.description
    parameters = [
        *_parameters(operation.path_type, "path"),
        *_parameters(operation.query_type, "query"),
        *map(_header, operation.headers),
    ]
    if parameters:
        told["parameters"] = parameters
    if operation.body_type is not None:
        schema = schemas.get(operation.json_type or operation.body_type, {})
        told["requestBody"] = {
            "required": True, "content": {
                media: {"schema": schema if media == JSON else {}} for media in operation.reads
            },
        }  # fmt: skip
    told["responses"] = _responses(operation, schemas)
    told["security"] = _security(operation)
    if operation.needs is not None:
        told["x-permission"] = operation.needs.value
    return told


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    """Ways to sign in, and none where whoever has not signed in may ask too."""
    if operation.needs is None:
        return [{}]
    ways: list[dict[str, list[str]]] = [
        {"password": []}, {"key": []}, {"session": [], "form_token": []}
    ]  # fmt: skip
    return [*ways, {}] if Who.ANONYMOUS in RULES[operation.needs].who else ways


def _parameters(kind: type[msgspec.Struct] | None, place: str) -> list[dict[str, Any]]:
    """Each field of a struct as a parameter."""
    if kind is None:
        return []
    (schema,), components = msgspec.json.schema_components((kind,), ref_template="{name}")
    found = components[schema["$ref"]]
    required = found.get("required", ())
    parameters = []
    for name, each in found["properties"].items():
        own = _without_null(each)
        parameter = {"name": name, "in": place, "required": name in required or place == "path"}
        if "description" in own:
            parameter["description"] = own.pop("description")
        parameters.append({**parameter, "schema": own})
    return parameters


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter that is left out is null to us; in an address there is no null."""
    own = {name: value for name, value in schema.items() if (name, value) != ("default", None)}
    choices = [each for each in own.get("anyOf", ()) if each != {"type": "null"}]
    if len(choices) == 1:
        del own["anyOf"]
        own = {**choices[0], **own}
    return own


def _header(header: Header) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if header.pattern:
        schema["pattern"] = header.pattern
    if header.length_max:
        schema |= {"minLength": 1, "maxLength": header.length_max}
    return {
        "name": header.name, "in": "header", "required": False,
        "description": header.description, "schema": schema,
    }  # fmt: skip


def _responses(operation: Operation, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    schema = schemas.get(operation.value_type)
    for status, meaning in operation.answers.items():
        response: dict[str, Any] = {"description": meaning}
        if status not in (204, 304):
            content = schema if schema is not None else {}
            response["content"] = {
                media: {"schema": content if media == JSON else {}} for media in operation.gives
            }
        responses[str(status)] = _with_headers(response, status)
    for status in operation.refusals:
        responses[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
    responses["default"] = {"$ref": "#/components/responses/ProblemOfServer"}
    return responses


def _refusals() -> dict[str, Any]:
    """The refusals that operations share, by name."""
    found: dict[str, Any] = {
        f"Problem{status}": _with_headers({"description": reason, **_PROBLEM}, status)
        for status, reason in _REASONS.items()
    }
    found["ProblemOfServer"] = {"description": "The server cannot answer at present", **_PROBLEM}
    return found


def _with_headers(response: dict[str, Any], status: int) -> dict[str, Any]:
    headers = _HEADERS.get(status)
    if headers:
        response["headers"] = {
            name: {"description": text, "schema": {"type": "string"}}
            for name, text in headers.items()
        }
    return response


def _renamed(value: Any) -> Any:
    """Names of generic structs as a reader expects them: `Page_Account_` as `PageOfAccount`."""
    if isinstance(value, dict):
        return {_name(key): _renamed(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_renamed(each) for each in value]
    return _name(value) if isinstance(value, str) else value


def _name(text: str) -> str:
    return re.sub(r"\bPage_(\w+)_(?=$|\W)", r"PageOf\1", text)
