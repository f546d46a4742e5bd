"""Checks recorded exchanges with Microsoft Graph against Graph's OpenAPI description.

The description knows items by id only. An item addressed by path is judged as the item it stands for:
`/drives/{d}/root:/a/b:/invite` and `/drives/{d}/items/root:/a/b:/invite` (the path may be percent-encoded as a whole),
and `/drives/{d}/root/invite`, are all `/drives/{drive-id}/items/{driveItem-id}/invite`.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import yaml
from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator

_BY_PATH = re.compile(r"(/drives/[^/]+)/(?:root|items/([^/:]+))(:/[^:]*(?::|$)|(?=/))")
# What the excerpt leaves out; Graph's reference v1.0 has it: "Get organization", "Get authorizationPolicy", "Get
# servicePrincipal", "List appRoleAssignments granted to a service principal", "user: sendMail".
_BEYOND_THE_EXCERPT = re.compile(
    r"GET (/organization|/policies/authorizationPolicy|/servicePrincipals(\(appId='[^']+'\)|/[^/]+/appRoleAssignments))"
    r"|POST /users/[^/]+/sendMail"
)
_COMPONENT = "#/components/schemas/"


def check_exchanges(exchanges: list[dict[str, Any]], openapi_path: Path | str) -> list[str]:
    """Every way in which the exchanges differ from the description; empty if there is none.

    Requests may hold declared query parameters and properties only; answers may hold more. Answers to exchanges with
    an injected fault are not judged. `$skiptoken` is allowed exactly where an earlier answer's next link carries it.
    """
    description = _Description(openapi_path)
    links: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
    violations: list[str] = []
    for exchange in exchanges:
        where = f"#{exchange['n']} {exchange['method']} {unquote(exchange['path'])}"
        violations += [f"{where}: {violation}" for violation in _check(description, exchange, links)]
        body = exchange["responseBody"]
        if isinstance(body, dict) and "@odata.nextLink" in body:
            split = urlsplit(body["@odata.nextLink"])
            links.add(_address(split.path, split.query))
    return violations


def _address(path: str, query: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return _fold(path), tuple(sorted(parse_qsl(query, keep_blank_values=True)))


def _fold(path: str) -> str:
    return re.sub("/+", "/", unquote(path)).removeprefix("/v1.0")


def item_path(path: str) -> str:
    """A path below /v1.0 with every item addressed by id, so that the description knows it."""
    return _BY_PATH.sub(lambda match: f"{match[1]}/items/{match[2] or 'root'}", path)


def _check(description: "_Description", exchange: Mapping[str, Any], links: set[Any]) -> list[str]:
    path, method = item_path(_fold(exchange["path"])), exchange["method"].lower()
    template = description.template(path)
    if template is None:
        known = _BEYOND_THE_EXCERPT.fullmatch(f"{exchange['method']} {path}")
        return [] if known else ["path is not in the description"]
    operation = description.paths[template].get(method)
    if operation is None:
        return [f"method is not in the description of {template}"]
    violations = description.check_query(operation, exchange["query"])
    if "$skiptoken" in exchange["query"]:
        violations = [violation for violation in violations if "$skiptoken" not in violation]
        if _address(exchange["path"], exchange["query"]) not in links:
            violations.append("a $skiptoken that no next link carried")
    violations += description.check_request(operation, exchange["requestBody"])
    if not exchange.get("fault"):
        violations += description.check_answer(operation, exchange["status"], exchange["responseBody"])
    return violations


class _Description:
    """The OpenAPI document, its schemas turned into JSON Schema: once open (answers), once closed (requests)."""

    def __init__(self, path: Path | str) -> None:
        document = yaml.safe_load(Path(path).read_text())
        self.paths: dict[str, dict[str, Any]] = document["paths"]
        self._components: dict[str, Any] = document["components"]
        self._templates = {template: self._regex(template) for template in self.paths}
        schemas = self._components["schemas"]
        self._definitions = {
            "answer": {name: _convert(schema, "answer") for name, schema in schemas.items()},
            "request": {name: _convert(schema, "request") for name, schema in schemas.items()},
        }
        self._validators: dict[tuple[str, int], Validator] = {}

    @staticmethod
    def _regex(template: str) -> re.Pattern[str]:
        parts = re.split(r"\{[^}]+\}", template)
        return re.compile("[^/]+".join(re.escape(part) for part in parts))

    def template(self, path: str) -> str | None:
        """The described path that a concrete one is an instance of."""
        return next((template for template, regex in self._templates.items() if regex.fullmatch(path)), None)

    def check_query(self, operation: Mapping[str, Any], query: str) -> list[str]:
        """Undeclared query parameters, and values of the wrong type."""
        parameters = [self._resolve(parameter) for parameter in operation.get("parameters", [])]
        declared = {parameter["name"]: parameter["schema"] for parameter in parameters if parameter["in"] == "query"}
        violations = []
        for name, value in parse_qsl(query, keep_blank_values=True):
            if name not in declared:
                violations.append(f"query parameter {name} is not declared")
                continue
            kind = declared[name]["type"]
            if kind == "integer" and not value.isdigit():
                violations.append(f"query parameter {name} is not a number")
            if kind == "boolean" and value not in ("true", "false"):
                violations.append(f"query parameter {name} is not a boolean")
            if kind == "array" and not all(part.strip() for part in value.split(",")):
                violations.append(f"query parameter {name} has an empty member")
        return violations

    def check_request(self, operation: Mapping[str, Any], body: Any) -> list[str]:
        """What is wrong with a request's body; undeclared properties are."""
        described = operation.get("requestBody")
        if described is None:
            return [] if body is None else ["a body is not declared"]
        if body is None:
            return ["the body is missing"] if described.get("required") else []
        return self._errors(described["content"]["application/json"]["schema"], body, "request")

    def check_answer(self, operation: Mapping[str, Any], status: int, body: Any) -> list[str]:
        """What is wrong with an answer's status and body."""
        responses = operation["responses"]
        described = responses.get(str(status)) or responses.get(f"{status // 100}XX")
        if described is None:
            return [f"status {status} is not declared"]
        content = self._resolve(described).get("content")
        if content is None:
            return [] if body is None else ["the answer should have no body"]
        return self._errors(content["application/json"]["schema"], body, "answer")

    def _resolve(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        if "$ref" not in value:
            return value
        _, _, section, name = value["$ref"].split("/")
        resolved: Mapping[str, Any] = self._components[section][name]
        return resolved

    def _errors(self, schema: Mapping[str, Any], body: Any, side: str) -> list[str]:
        key = (side, id(schema))
        if key not in self._validators:
            root = {**_close(_convert(schema, side), side), "components": {"schemas": self._definitions[side]}}
            self._validators[key] = Draft202012Validator(root)
        found = sorted(self._validators[key].iter_errors(body), key=lambda error: error.json_path)
        return [f"{side} {error.json_path}: {error.message[:200]}" for error in found]


def _convert(schema: Any, side: str, *, base: bool = True) -> Any:
    """An OpenAPI 3.0 schema as JSON Schema.

    In requests every object is closed, except where it is the base that another schema builds on (`base`): there
    the outermost closes the whole.
    """
    if "$ref" in schema:
        return {"$ref": schema["$ref"]} if base else _close({"$ref": schema["$ref"]}, side)
    any_of = schema.get("anyOf")
    if any_of and any_of[-1] == {"type": "object", "nullable": True}:
        # Graph's way to write "nullable reference"; taken literally it would allow any object.
        alternatives = [_convert(option, side, base=False) for option in any_of[:-1]]
        return {"anyOf": [*alternatives, {"type": "null"}]}
    result: dict[str, Any] = {}
    for key in ("type", "pattern", "enum", "minimum", "maximum", "required", "uniqueItems"):
        if key in schema:
            result[key] = schema[key]
    if "required" in result:
        # The published inner error requires @odata.type, which the service never sends.
        result["required"] = [name for name in result["required"] if name != "@odata.type"]
    if schema.get("nullable"):
        if "type" in result:
            result["type"] = [result["type"], "null"]
        if "enum" in result:
            result["enum"] = [*result["enum"], None]
    if "properties" in schema:
        result["properties"] = {name: _convert(value, side, base=False) for name, value in schema["properties"].items()}
    if "items" in schema:
        result["items"] = _convert(schema["items"], side, base=False)
    for key in ("allOf", "anyOf", "oneOf"):
        if key in schema:
            result[key] = [_convert(option, side) for option in schema[key]]
    return result if base else _close(result, side)


def _close(schema: dict[str, Any], side: str) -> dict[str, Any]:
    composed = {"$ref", "properties", "allOf"} & schema.keys()
    return {**schema, "unevaluatedProperties": False} if side == "request" and composed else schema
