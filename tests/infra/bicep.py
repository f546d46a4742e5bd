"""Reads a Bicep file with a grammar of the language, as far as the tests of the templates need it.

It does not compile: types of expressions are not known here. What it finds are syntax errors, and what is declared and
used where.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

from infra.package import ROOT

INFRA = ROOT / "infra"
_PARSER = Parser(Language(tree_sitter_bicep.language()))


@dataclass(frozen=True)
class Expression:
    """What is no literal, as it is written."""

    text: str


@dataclass(frozen=True)
class Resource:
    """A resource or a module; `type` is a module's file. `body`: literals as Python's, else Expression."""

    symbol: str
    type: str
    body: dict[str, Any]
    existing: bool
    comment: str
    nested: list["Resource"] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """The type without its version."""
        return self.type.partition("@")[0]


@dataclass(frozen=True)
class Parameter:
    """A parameter with what its decorators say; no default is None."""

    name: str
    default: Any
    decorators: dict[str, Any]


class Template:
    """One file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._root = _PARSER.parse(path.read_bytes()).root_node

    @cached_property
    def syntax_errors(self) -> list[str]:
        return [
            f"{self.path.name}:{node.start_point[0] + 1}: {_text(node)[:60]}"
            for node in walk(self._root)
            if node.type == "ERROR" or node.is_missing
        ]

    def _declarations(self, kind: str) -> Iterator[Node]:
        return (node for node in self._root.named_children if node.type == f"{kind}_declaration")

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        found = {}
        for node in self._declarations("parameter"):
            decorators: dict[str, Any] = {}
            before = node.prev_named_sibling
            if before is not None and before.type == "decorators":
                for call in (decorator.named_children[0] for decorator in before.named_children):
                    arguments = [_value(child) for child in call.named_children[1].named_children]
                    decorators[_text(call.named_children[0])] = arguments[0] if arguments else True
            name, *rest = node.named_children
            default = _value(rest[-1]) if len(rest) > 1 else None
            found[_text(name)] = Parameter(_text(name), default, decorators)
        return found

    @cached_property
    def variables(self) -> dict[str, Any]:
        return {
            _text(node.named_children[0]): _value(node.named_children[-1]) for node in self._declarations("variable")
        }

    @cached_property
    def outputs(self) -> dict[str, Any]:
        return {_text(node.named_children[0]): _value(node.named_children[-1]) for node in self._declarations("output")}

    @cached_property
    def resources(self) -> dict[str, Resource]:
        return {one.symbol: one for one in (_resource(node) for node in self._declarations("resource"))}

    @cached_property
    def modules(self) -> dict[str, Resource]:
        return {one.symbol: one for one in (_resource(node) for node in self._declarations("module"))}

    @cached_property
    def declared(self) -> set[str]:
        return {*self.parameters, *self.variables, *self.resources, *self.modules}

    @cached_property
    def used(self) -> set[str]:
        """Names in expressions, except those of functions that are called, of properties, and of lambdas and loops."""
        return {_text(node) for node in walk(self._root) if node.type == "identifier" and _is_use(node)}

    @cached_property
    def called(self) -> set[str]:
        """Names of functions that are called."""
        return {_text(node.named_children[0]) for node in walk(self._root) if node.type == "call_expression"}

    @cached_property
    def members(self) -> set[str]:
        """Accesses to members, as they are written."""
        return {_text(node).replace("!", "") for node in walk(self._root) if node.type == "member_expression"}


def templates() -> dict[str, Template]:
    """Read all files, by their name."""
    return {path.name: Template(path) for path in sorted(INFRA.glob("*.bicep"))}


def walk(node: Node) -> Iterator[Node]:
    """Yield the node and everything in it."""
    yield node
    for child in node.children:
        yield from walk(child)


def _text(node: Node) -> str:
    return (node.text or b"").decode()


def _is_use(node: Node) -> bool:
    parent = node.parent
    assert parent is not None
    is_first = parent.named_children[0] == node
    match parent.type:
        case "object_property" | "lambda_expression" | "call_expression":
            if is_first:
                return False
        case "parameter_declaration" | "variable_declaration" | "resource_declaration" | "module_declaration":
            return not is_first
        case "output_declaration":
            return not is_first
    return _text(node) not in _bound(node)


def _bound(node: Node) -> set[str]:
    """Names that a lambda or a loop around the node declares."""
    names: set[str] = set()
    parent = node.parent
    while parent is not None:
        if parent.type == "lambda_expression":
            names.add(_text(parent.named_children[0]))
        if parent.type == "for_statement":
            names |= {_text(child) for child in walk(parent) if child.type in ("loop_variable", "loop_enumerator")} | {
                _text(parent.named_children[0])
            }
        parent = parent.parent
    return names


def _resource(node: Node) -> Resource:
    symbol, kind, *_ = node.named_children
    body = next(child for child in walk(node) if child.type == "object")
    nested = [_resource(child.named_children[0]) for child in body.named_children if _is_nested(child)]
    comments: list[str] = []
    before = node.prev_named_sibling
    while before is not None and before.type == "comment":
        comments.insert(0, _text(before))
        before = before.prev_named_sibling
    existing = any(_text(child) == "existing" for child in node.children)
    return Resource(_text(symbol), _text(kind).strip("'"), _object(body), existing, "\n".join(comments), nested)


def _is_nested(node: Node) -> bool:
    return node.type == "object_property" and node.named_children[0].type == "resource_declaration"


def _object(node: Node) -> dict[str, Any]:
    return {
        _text(child.named_children[0]).strip("'"): _value(child.named_children[-1])
        for child in node.named_children
        if child.type == "object_property" and not _is_nested(child)
    }


def _value(node: Node) -> Any:
    text = _text(node)
    match node.type:
        case "string" if "${" not in text:
            return text[1:-1].replace("\\'", "'")
        case "number":
            return int(text)
        case "boolean":
            return text == "true"
        case "array":
            return [_value(child) for child in node.named_children if child.type != "comment"]
        case "object":
            return _object(node)
    return Expression(text)
