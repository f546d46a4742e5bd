"""How Dropbox's stand-in judges a request before it answers: route, arguments, in whose name, and with which scope."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

type Json = dict[str, Any]
type Check = Callable[[object], bool]


class RouteError(Exception):
    """What a route answers with 409: a tag, or a tag within a tag."""

    def __init__(self, tag: str, value: object = None) -> None:
        """`value`: the tag or the value within."""
        super().__init__(tag)
        self.body: Json = {".tag": tag}
        if value is not None:
            self.body[tag] = {".tag": value} if tag in ("path", "access_error") else value

    @property
    def summary(self) -> str:
        """What Dropbox writes for people."""
        inner = self.body.get(self.body[".tag"])
        return f"{self.body['.tag']}/{inner['.tag']}/..." if isinstance(inner, dict) else f"{self.body['.tag']}/..."


class BadRequestError(Exception):
    """What a request gets that Dropbox cannot read: 400 and a sentence."""


@dataclass(frozen=True)
class Route:
    """A route as the specification has it. `admin`: what Select-Admin may do there; None: nothing.

    `required` and `optional`: the arguments.
    """

    auth: Literal["team", "user"]
    scope: str
    required: Mapping[str, Check] = field(default_factory=dict)
    optional: Mapping[str, Check] = field(default_factory=dict)
    admin: Literal["whole_team", "team_admin"] | None = None
    takes_path_root: bool = False
    without_argument: bool = False


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _matching(pattern: str) -> Check:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value, re.DOTALL) is not None


def _number(least: int, most: int) -> Check:
    return lambda value: type(value) is int and least <= value <= most


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _tagged(*tags: str) -> Check:
    return lambda value: (value.get(".tag") if isinstance(value, dict) else value) in tags


def _list(most: int) -> Check:
    return lambda value: isinstance(value, list) and len(value) <= most


_FOLDER_ID = _matching(r"[-_0-9a-zA-Z:]+")
_FILE = _matching(r"(/|id:).*|ns:[0-9]+(/.*)?")
_PATH = _matching(r"(/.*|id:.*)|(rev:[0-9a-f]{9,})|(ns:[0-9]+(/.*)?)")
_PATH_OR_ROOT = _matching(r"(/.*)?|id:.*|(ns:[0-9]+(/.*)?)")
_CURSOR = {"cursor": _text}
_SHARED_FOLDERS = {"auth": "user", "scope": "sharing.read", "admin": "whole_team"}
_FILES = {"auth": "user", "scope": "files.metadata.read", "admin": "whole_team", "takes_path_root": True}
_LISTING = {
    "recursive": _flag,
    "include_media_info": _flag,
    "include_deleted": _flag,
    "include_has_explicit_shared_members": _flag,
    "include_mounted_folders": _flag,
    "include_non_downloadable_files": _flag,
    "include_restorable_info": _flag,
    "limit": _number(1, 2000),
}

ROUTES: dict[str, Route] = {
    "team/token/get_authenticated_admin": Route("team", "team_info.read", without_argument=True),
    "team/get_info": Route("team", "team_info.read", without_argument=True),
    "team/members/get_info_v2": Route("team", "members.read", {"members": _list(1000)}),
    "team/groups/members/list": Route(
        "team", "groups.read", {"group": _tagged("group_id", "group_external_id")}, {"limit": _number(1, 1000)}
    ),
    "team/groups/members/list/continue": Route("team", "groups.read", _CURSOR),
    "team/namespaces/list": Route("team", "team_data.member", {}, {"limit": _number(1, 1000)}),
    "team/namespaces/list/continue": Route("team", "team_data.member", _CURSOR),
    "team_log/get_events": Route(
        "team",
        "events.read",
        {},
        {"limit": _number(1, 1000), "time": lambda v: isinstance(v, dict), "category": _tagged("sharing", "members")},
    ),
    "team_log/get_events/continue": Route("team", "events.read", _CURSOR),
    "sharing/get_folder_metadata": Route(
        **_SHARED_FOLDERS,  # type: ignore[arg-type]
        required={"shared_folder_id": _FOLDER_ID},
        optional={"actions": _list(100)},
    ),
    "sharing/list_folder_members": Route(
        **_SHARED_FOLDERS,  # type: ignore[arg-type]
        required={"shared_folder_id": _FOLDER_ID},
        optional={"limit": _number(1, 1000), "actions": _list(100)},
    ),
    "sharing/list_folder_members/continue": Route(**_SHARED_FOLDERS, required=_CURSOR),  # type: ignore[arg-type]
    "sharing/list_file_members": Route(
        "user",
        "sharing.read",
        {"file": _FILE},
        {"include_inherited": _flag, "limit": _number(1, 300), "actions": _list(100)},
        admin="team_admin",
    ),
    "sharing/list_file_members/continue": Route("user", "sharing.read", _CURSOR),
    "sharing/list_file_members/batch": Route(
        "user", "sharing.read", {"files": _list(100)}, {"limit": _number(0, 3000)}
    ),
    "sharing/list_shared_links": Route(
        "user", "sharing.read", {}, {"path": _PATH, "cursor": _text, "direct_only": _flag}
    ),
    "files/get_metadata": Route(
        **_FILES,  # type: ignore[arg-type]
        required={"path": _PATH},
        optional={n: c for n, c in _LISTING.items() if n.startswith("include") and "mounted" not in n},
    ),
    "files/list_folder": Route(
        **_FILES,  # type: ignore[arg-type]
        required={"path": _PATH_OR_ROOT},
        optional=_LISTING,
    ),
    "files/list_folder/continue": Route(**_FILES, required=_CURSOR),  # type: ignore[arg-type]
}


def judge(name: str, argument: object) -> Json:
    """Return the arguments of a route. Raises BadRequestError."""
    route = ROUTES[name]
    if route.without_argument:
        if argument is not None:
            raise BadRequestError(f'Error in call to API function "{name}": request body: expected null')
        return {}
    if not isinstance(argument, dict):
        raise BadRequestError(f'Error in call to API function "{name}": request body: expected object')
    known = {**route.required, **route.optional}
    for given, value in argument.items():
        if given not in known:
            raise BadRequestError(f'Error in call to API function "{name}": request body: unknown field "{given}"')
        if value is not None and not known[given](value):
            raise BadRequestError(f'Error in call to API function "{name}": request body: {given}: not as documented')
    for needed in route.required:
        if argument.get(needed) is None:
            raise BadRequestError(f'Error in call to API function "{name}": request body: missing field "{needed}"')
    return argument
