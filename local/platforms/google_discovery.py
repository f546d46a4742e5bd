"""What Google's discovery documents say of a call: where it is, its parameters, its scopes, the shape of its answer.

The documents are those that come with Google's client; the stand-in judges requests by them, and selects fields as
Google's APIs do ("Working with partial responses").
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

_DOCUMENTS = {"drive.v3": "drive/v3/", "admin.reports_v1": "", "admin.directory_v1": ""}
_GLOBAL = {"alt", "fields", "key", "prettyPrint", "quotaUser"}


class RefusalError(Exception):
    """What Google answers instead: its status, reason and message."""

    def __init__(self, status: int, reason: str, message: str, location: str | None = None) -> None:
        """`location` is the parameter at fault."""
        super().__init__(reason)
        self.status, self.reason, self.message, self.location = status, reason, message, location


class Pages:
    """Cuts lists into pages. `voided`: page tokens that are not accepted any more."""

    def __init__(self) -> None:
        self.voided: set[str] = set()

    def of[T](self, found: list[T], token: str | None, size: int, kind: str) -> tuple[list[T], dict[str, Any]]:
        """Return a page, and the token of the next one if there is one. Raises RefusalError."""
        if token is not None and (not re.fullmatch(rf"{kind}[0-9]{{1,9}}", token) or token in self.voided):
            raise RefusalError(400, "invalid", "Invalid Value", "pageToken")
        start = int(token[1:]) if token else 0
        more = {"nextPageToken": f"{kind}{start + size}"} if start + size < len(found) else {}
        return found[start : start + size], more


@dataclass(frozen=True)
class Method:
    """One call."""

    document: str
    http_method: str
    path: str
    parameters: Mapping[str, Mapping[str, Any]]
    scopes: frozenset[str]
    answer: str | None

    def judge(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Return the query's values, with the defaults. Raises RefusalError."""
        offered = {name: rules for name, rules in self.parameters.items() if rules["location"] == "query"}
        for name in query:
            if name not in offered and name not in _GLOBAL:
                raise RefusalError(400, "invalidParameter", f"Unknown name {name}", name)
        values = {name: _value(name, rules, query.get(name)) for name, rules in offered.items()}
        missing = next((name for name, rules in offered.items() if rules.get("required") and not query.get(name)), None)
        if missing:
            raise RefusalError(400, "required", f"Required parameter: {missing}", missing)
        return values

    def select(self, whole: Mapping[str, Any], fields: str | None, default: str | None) -> dict[str, Any]:
        """Return the fields that were asked for, or those that are there by default. Raises RefusalError."""
        mask = fields or default
        if mask is None or self.answer is None:
            return dict(whole)
        tree = _parse(mask)
        _check(self.document, self.answer, tree)
        return dict(_pick(whole, tree))


@cache
def document(name: str) -> dict[str, Any]:
    """Return a discovery document."""
    file = resources.files("googleapiclient") / "discovery_cache" / "documents" / f"{name}.json"
    read: dict[str, Any] = json.loads(file.read_text())
    return read


@cache
def methods(name: str) -> dict[str, Method]:
    """Return a document's calls by the names that it gives them."""

    def walk(resource: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        yield from resource.get("methods", {}).values()
        for inner in resource.get("resources", {}).values():
            yield from walk(inner)

    return {
        method["id"]: Method(
            name,
            method["httpMethod"],
            "/" + _DOCUMENTS[name] + method["path"],
            method.get("parameters", {}),
            frozenset(method.get("scopes", ())),
            method.get("response", {}).get("$ref"),
        )
        for method in walk(document(name))
    }


def _value(name: str, rules: Mapping[str, Any], given: str | None) -> Any:
    text = given if given is not None else rules.get("default")
    if text is None:
        return None
    if rules["type"] == "boolean":
        if text not in ("true", "false"):
            raise RefusalError(400, "invalidParameter", f"Invalid boolean value: '{text}'", name)
        return text == "true"
    if rules["type"] == "integer":
        if not re.fullmatch(r"-?[0-9]{1,9}", text) or int(text) < int(rules.get("minimum", 0)):
            raise RefusalError(400, "invalidParameter", f"Invalid value '{text}'", name)
        return min(int(text), int(rules.get("maximum", 1000)))  # "values above are coerced"
    if given is not None and (
        ("enum" in rules and text not in rules["enum"])
        or ("pattern" in rules and not re.fullmatch(rules["pattern"], text))
    ):
        raise RefusalError(400, "invalidParameter", f"Invalid value '{text}'", name)
    return text


# --- fields

type _Tree = dict[str, "_Tree"]


def _parse(mask: str) -> _Tree:
    """Read `a,b(c,d(e)),f/g`. Raises RefusalError."""
    tokens = re.findall(r"[A-Za-z_]+|[(),/*]", mask)
    tree, rest = _selection(tokens)
    if rest or "".join(tokens) != mask:
        raise _bad_fields(mask)
    return tree


def _selection(tokens: list[str]) -> tuple[_Tree, list[str]]:
    tree: _Tree = {}
    while True:
        if not tokens or tokens[0] in "(),/":
            raise _bad_fields("")
        name, tokens = tokens[0], tokens[1:]
        tree[name], tokens = _inside(tokens)
        if tokens[:1] != [","]:
            return tree, tokens
        tokens = tokens[1:]


def _inside(tokens: list[str]) -> tuple[_Tree, list[str]]:
    if tokens[:1] == ["/"]:
        part, _ = _selection(tokens[1:2])
        return part, tokens[2:]
    if tokens[:1] != ["("]:
        return {}, tokens
    tree, rest = _selection(tokens[1:])
    if rest[:1] != [")"]:
        raise _bad_fields("(")
    return tree, rest[1:]


def _bad_fields(field: str) -> RefusalError:
    return RefusalError(400, "invalidParameter", f"Invalid field selection {field}", "fields")


def _check(name: str, schema: str | Mapping[str, Any], tree: _Tree) -> None:
    schemas = document(name)["schemas"]
    found = schemas[schema] if isinstance(schema, str) else schema
    while found.get("type") == "array" or "$ref" in found:
        found = schemas[found["$ref"]] if "$ref" in found else found["items"]
    for field, inner in tree.items():
        if field == "*":
            continue
        if field not in found.get("properties", {}):
            raise _bad_fields(field)
        _check(name, found["properties"][field], inner)


def _pick(value: Any, tree: _Tree) -> Any:
    if not tree or "*" in tree:
        return value
    if isinstance(value, list):
        return [_pick(one, tree) for one in value]
    return {field: _pick(value[field], inner) for field, inner in tree.items() if field in value}
