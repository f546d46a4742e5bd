"""The part of OData's $filter that the directory understands, as strict as the directory is about it.

Which operator works on which property, and which of them needs the advanced-query headers, follows Microsoft's
table in "Advanced query capabilities on directory objects".
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from local.tenant.errors import GraphError, bad_request, unsupported_query

Row = Mapping[str, Any]
Test = Callable[[Row], bool]
Literal_ = str | bool | datetime | None

OR_CLAUSES = 15
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {"eq": operator.eq, "ge": operator.ge, "le": operator.le}
_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')"
    r"|(?P<date>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d))"
    r"|(?P<word>[A-Za-z]\w*)"
    r"|(?P<mark>[(),:/]))"
)


@dataclass(frozen=True)
class Property:
    """A filterable property: its kind, the operators it has, and those it has in advanced queries only."""

    kind: Literal["text", "texts", "moment", "flag"]
    plain: frozenset[str]
    advanced: frozenset[str] = frozenset()
    null: Literal["advanced", "never"] = "advanced"


def _property(
    kind: Literal["text", "texts", "moment", "flag"], plain: str, advanced: str = "", **rest: Any
) -> Property:
    return Property(kind, frozenset(plain.split()), frozenset(advanced.split()), **rest)


FILTERABLE: dict[str, Property] = {
    "id": _property("text", "eq in", "ne"),
    "mail": _property("text", "eq ge le in startswith", "ne endswith"),
    "otherMails": _property("texts", "eq ge le startswith", "endswith"),
    "proxyAddresses": _property("texts", "eq startswith", "endswith"),
    "userPrincipalName": _property("text", "eq in startswith", "ne endswith"),
    "displayName": _property("text", "eq ge le in startswith", "ne"),
    "userType": _property("text", "eq in", "ne"),
    "creationType": _property("text", "eq in", "ne"),
    "externalUserState": _property("text", "eq in", "ne", null="never"),
    "externalUserStateChangeDateTime": _property("moment", "eq ge le", "ne", null="never"),
    "accountEnabled": _property("flag", "eq", "ne"),
    "createdDateTime": _property("moment", "", "eq ge le"),
}


@dataclass(frozen=True)
class Filter:
    """A parsed filter; `advanced` says that it needs ConsistencyLevel: eventual and $count=true."""

    test: Test
    advanced: bool


def parse_filter(text: str, known: Sequence[str]) -> Filter:
    """Parse a $filter over users; raises GraphError 400 for what the directory refuses."""
    return _Parser(text, known).parse()


def no_such_property(name: str) -> GraphError:
    """400 for a filter on something that a user does not have."""
    return bad_request(
        f"Invalid filter clause: Could not find a property named '{name}' on type 'microsoft.graph.user'."
    )


def _fold(value: Any) -> Any:
    if isinstance(value, str):
        return value.casefold()
    return value


def _moment(value: Any) -> Any:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


class _Parser:
    """Recursive descent; every rule returns its test and how many or-able clauses it holds."""

    def __init__(self, text: str, known: Sequence[str]) -> None:
        self._text = text
        self._known = known
        self._tokens = self._tokenize(text)
        self._at = 0
        self._advanced = False

    def parse(self) -> Filter:
        test, _ = self._or()
        if self._at < len(self._tokens):
            raise self._syntax_error()
        return Filter(test, self._advanced)

    def _tokenize(self, text: str) -> list[str]:
        tokens, at, text = [], 0, text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise self._syntax_error()
            tokens.append(match.group().strip())
            at = match.end()
        return tokens

    def _syntax_error(self) -> GraphError:
        return bad_request(f"Invalid filter clause: There is an error in the expression at '{self._text}'.")

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self, expected: str | None = None) -> str:
        token = self._peek()
        if not token or (expected is not None and token.lower() != expected):
            raise self._syntax_error()
        self._at += 1
        return token

    def _or(self) -> tuple[Test, int]:
        test, clauses = self._and()
        tests = [test]
        while self._peek() == "or":
            self._take()
            test, more = self._and()
            tests.append(test)
            clauses += more
        if len(tests) > 1 and clauses > OR_CLAUSES:
            raise _too_many(clauses)
        return (lambda row: any(test(row) for test in tests)), clauses

    def _and(self) -> tuple[Test, int]:
        test, clauses = self._unary()
        tests = [test]
        while self._peek() == "and":
            self._take()
            test, more = self._unary()
            tests.append(test)
            clauses += more
        return (lambda row: all(test(row) for test in tests)), clauses

    def _unary(self) -> tuple[Test, int]:
        if self._peek() == "not":
            self._take()
            self._advanced = True
            inner, clauses = self._unary()
            return (lambda row: not inner(row)), clauses
        if self._peek() == "(":
            self._take()
            inner, clauses = self._or()
            self._take(")")
            return inner, clauses
        if self._peek().lower() in ("startswith", "endswith"):
            return self._function(variable=None, name=None), 1
        return self._clause()

    def _clause(self) -> tuple[Test, int]:
        name = self._take()
        if name not in self._known:
            raise no_such_property(name)
        if self._peek() == "/":
            return self._any(name), 1
        declared = self._declared(name)
        if declared.kind == "texts":
            raise _unsupported(name)
        if self._peek() == "in":
            return self._in(name)
        return self._comparison(name, lambda row: [row[name]]), 1

    def _declared(self, name: str) -> Property:
        if name not in FILTERABLE:
            raise _unsupported(name)
        return FILTERABLE[name]

    def _any(self, name: str) -> Test:
        self._take("/")
        self._take("any")
        self._take("(")
        variable = self._take()
        self._take(":")
        test = self._identity(variable) if name == "identities" else self._member(name, variable)
        self._take(")")
        return test

    def _member(self, name: str, variable: str) -> Test:
        if self._declared(name).kind != "texts":
            raise _unsupported(name)
        if self._peek().lower() in ("startswith", "endswith"):
            return self._function(variable, name)
        self._take(variable.lower())
        return self._comparison(name, lambda row: row[name])

    def _identity(self, variable: str) -> Test:
        """Both issuerAssignedId and issuer are required, by the documentation of List users."""
        wanted: dict[str, str] = {}
        for position in range(2):
            if position:
                self._take("and")
            self._take(variable.lower())
            self._take("/")
            part = self._take()
            self._take("eq")
            value = self._literal()
            if part not in ("issuerAssignedId", "issuer") or not isinstance(value, str):
                raise _unsupported("identities")
            wanted[part] = value.casefold()
        if len(wanted) != 2:
            raise _unsupported("identities")
        return lambda row: any(
            all(_fold(identity[part]) == value for part, value in wanted.items()) for identity in row["identities"]
        )

    def _in(self, name: str) -> tuple[Test, int]:
        self._allow(name, "in")
        self._take("in")
        self._take("(")
        values = [_fold(self._literal())]
        while self._peek() == ",":
            self._take()
            values.append(_fold(self._literal()))
        self._take(")")
        if len(values) > OR_CLAUSES:
            raise _too_many(len(values))
        return (lambda row: _fold(row[name]) in values), len(values)

    def _comparison(self, name: str, values_of: Callable[[Row], Sequence[Any]]) -> Test:
        sign = self._take()
        if sign not in ("eq", "ne", "ge", "le", "gt", "lt"):
            raise self._syntax_error()
        self._allow(name, sign)
        literal, declared = self._literal(), FILTERABLE[name]
        if literal is None:
            if declared.null == "never" or sign not in ("eq", "ne"):
                raise _unsupported(name)
            self._advanced = True
            return lambda row: all((value is None) == (sign == "eq") for value in values_of(row))
        expected = {"text": str, "texts": str, "moment": datetime, "flag": bool}[declared.kind]
        if not isinstance(literal, expected):
            raise bad_request(
                f"Invalid filter clause: A binary operator with incompatible types was detected on '{name}'."
            )
        read = _moment if declared.kind == "moment" else _fold
        wanted = _fold(literal)
        if sign == "ne":
            return lambda row: all(read(value) != wanted for value in values_of(row))
        compare = _COMPARE[sign]
        return lambda row: any(value is not None and compare(read(value), wanted) for value in values_of(row))

    def _function(self, variable: str | None, name: str | None) -> Test:
        """`startswith(mail,'x')`, or inside any() `startswith(x,'x')` over the members of `name`."""
        function = self._take().lower()
        self._take("(")
        subject = self._take()
        if variable is not None and name is not None:
            if subject != variable:
                raise self._syntax_error()
            prop = name
        else:
            if subject not in self._known:
                raise no_such_property(subject)
            prop = subject
            if self._declared(prop).kind == "texts":
                raise _unsupported(prop)
        self._allow(prop, function)
        self._take(",")
        literal = self._literal()
        self._take(")")
        if not isinstance(literal, str):
            raise self._syntax_error()
        wanted = literal.casefold()

        def holds(value: str | None) -> bool:
            if value is None:
                return False
            text = value.casefold()
            return text.startswith(wanted) if function == "startswith" else text.endswith(wanted)

        if variable is not None:
            return lambda row: any(holds(value) for value in row[prop])
        return lambda row: holds(row[prop])

    def _allow(self, name: str, sign: str) -> None:
        declared = self._declared(name)
        if sign in declared.plain:
            return
        if sign not in declared.advanced:
            raise _unsupported(name)
        self._advanced = True

    def _literal(self) -> Literal_:
        token = self._take()
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if token in ("true", "false"):
            return token == "true"
        if token == "null":
            return None
        try:
            return datetime.fromisoformat(token)
        except ValueError:
            raise self._syntax_error() from None


def _unsupported(name: str) -> GraphError:
    return unsupported_query(
        f"Unsupported or invalid query filter clause specified for property '{name}' of resource 'User'."
    )


def _too_many(clauses: int) -> GraphError:
    return unsupported_query(
        "Too many child clauses specified in search filter expression containing 'OR' operators: "
        f"{clauses}. Max allowed: {OR_CLAUSES}."
    )
