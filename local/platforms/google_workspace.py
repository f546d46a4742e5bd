"""A stand-in for the parts of Google Workspace that say what is shared in Drive, and that tell about changes.

`python -m local.platforms.google_workspace --port N --key <key file>`. It speaks Drive v3, Admin Directory, Admin
Reports, and gives the service account's tokens at `/token`, where the key file's `token_uri` has to point. Besides the
control of every stand-in (see standin.py):

    POST /control/seed   {"people": [{"email", "suspended", "archived", "has_drive"}, ...],
                          "groups": {<address>: [{"email", "type", "status"}, ...]}}

Paths of acts: `/<owner>/...` and `/Shared drives/<name>/...`; a shared drive itself is of kind root. Roles are Drive's.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from local.platforms import google_discovery as discovery
from local.platforms.google_account import Account, Entry, Grant, Json, Member, Person
from local.platforms.google_admin import Admin
from local.platforms.google_discovery import Method, RefusalError
from local.platforms.google_drive import Drive
from local.platforms.google_keys import Bearer, TokenEndpoint
from local.platforms.google_push import Channels
from local.platforms.standin import Act, StandIn, repeats, run

SCOPES = (
    "drive.metadata.readonly",
    "drive.readonly",
    "admin.reports.audit.readonly",
    "admin.directory.user.readonly",
    "admin.directory.group.readonly",
    "admin.directory.domain.readonly",
)
# What the administrator's reports call the roles.
_WORDS = {"reader": "can_view", "commenter": "can_comment", "writer": "can_edit"}
_MEMBER_WORDS = {"reader": "viewer", "writer": "editor", "fileOrganizer": "content_manager"}


@dataclass(frozen=True)
class Call:
    """A request that was let in: who asks, and the values of path and query."""

    user: Person
    values: Mapping[str, Any]
    body: Mapping[str, Any]


class GoogleWorkspace(StandIn):
    """One company's account, and one service account that may act for its people."""

    repeats_after = (0, 500, 502, 503, 504)

    def __init__(self, key: str, domains: tuple[str, ...], administrator: str) -> None:
        """`key`: the service account's key file. `domains`: the company's own."""
        super().__init__()
        self.account = Account(domains, administrator)
        self.channels = Channels(self.deliver)
        self.tokens = TokenEndpoint(key, frozenset(SCOPES))
        self.pages = discovery.Pages()
        self._drive = Drive(self.account, self.channels, self.pages)
        self._admin = Admin(self.account, self.channels, self.pages)

    def routes(self) -> Sequence[web.RouteDef]:
        """The calls that somebody has a handler for, where Google's discovery documents put them."""
        calls = [
            self._route(discovery.methods(name)[ident], handler, default)
            for name, offered in {**self._drive.offers(), **self._admin.offers()}.items()
            for ident, (handler, default) in offered.items()
        ]
        return [*calls, web.post("/token", self._token), web.post("/control/seed", self._seed)]

    def _route(self, method: Method, handler: Callable[[Call], Any], default: str | None) -> web.RouteDef:
        async def answer(request: web.Request) -> web.Response:
            try:
                bearer = self._bearer(request)
                assert bearer is not None
                if not bearer.scopes & method.scopes:
                    raise RefusalError(
                        403, "insufficientPermissions", "Request had insufficient authentication scopes."
                    )
                values = {**method.judge(request.query), **request.match_info}
                body = await request.json() if request.can_read_body else {}
                whole = handler(Call(self.account.people[bearer.user], values, body))
                if whole is None:
                    return web.Response(status=204)
                return web.json_response(method.select(whole, request.query.get("fields"), default))
            except RefusalError as refusal:
                return self._refusal(refusal)

        return web.route(method.http_method, method.path, answer)

    # --- the door

    def refuse(self, request: web.Request) -> web.Response | None:
        """Only bearers of our tokens come in, and to Drive only those who have it."""
        if request.path == "/token":
            return None
        bearer = self._bearer(request)
        person = self.account.people.get(bearer.user) if bearer else None
        if person is None or not person.is_active:
            return self._refusal(RefusalError(401, "authError", "Invalid Credentials", "Authorization"))
        if request.path.startswith("/drive/") and not person.has_drive:
            return self._refusal(
                RefusalError(403, "domainPolicy", "The domain administrators have disabled Drive apps.")
            )
        return None

    def _bearer(self, request: web.Request) -> Bearer | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return self.tokens.given.get(token) if scheme == "Bearer" else None

    def error(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
        """Return an error as Google's APIs write it; `code` is the reason."""
        return web.json_response(_error(RefusalError(status, code, message)), status=status, headers=headers)

    def _refusal(self, refusal: RefusalError) -> web.Response:
        return web.json_response(_error(refusal), status=refusal.status)

    async def _token(self, request: web.Request) -> web.Response:
        active = {person.email: person.is_active for person in self.account.people.values()}
        status, body = self.tokens.give(await request.post(), active)
        return web.json_response(body, status=status)

    async def _seed(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        for person in wanted.get("people", []):
            self.account.add_person(**person)
        for address, members in wanted.get("groups", {}).items():
            self.account.groups[address] = [Member(**member) for member in members]
        return web.Response(status=204)

    # --- what a user does

    async def carry_out(self, act: Act) -> None:
        """Share, change a role, or take a share back."""
        ident = self.account.at(act.path, act.kind, make=act.act == "share")
        if ident is None or (act.kind == "root") != (ident in self.account.drives):
            raise web.HTTPBadRequest(reason="only a shared drive is a root that is shared")
        entry, before = self.account.entries[ident], self.account.grant_of(ident, act.person)
        if (act.act != "share" and before is None) or (act.act != "remove" and act.role is None):
            raise web.HTTPBadRequest(reason="nothing to change, or no role")
        old = before.role if before else None
        if act.act == "remove":
            assert before is not None
            self.account.take(ident, before.id)
        else:
            kind = "group" if act.person in self.account.groups else "user"
            grant = Grant(
                kind, act.role or "", act.person, name=act.person.partition("@")[0], expires_at=act.expires_at
            )
            self.account.put(ident, grant)
        sharer = act.sharer or entry.owner or self.account.administrator
        new = None if act.act == "remove" else act.role
        activity = self._report(entry, sharer, act.person, old, new, act.shared_at if act.act == "share" else None)
        for _ in repeats(act.notify):
            self.notify(entry, activity)

    def notify(self, entry: Entry, activity: Json) -> None:
        """Tell over every channel that watches the item's drive, or the reports."""
        change = {"kind": "drive#changes"}
        if entry.drive:
            self.channels.tell(("changes", entry.drive), "change", change)
        for user in self.account.seen_by(entry.id):
            self.channels.tell(("changes", user), "change", change)
        name = activity["events"][0]["name"]
        self.channels.tell(("reports", name), name, activity)

    def _report(
        self, entry: Entry, actor: str, person: str, old: str | None, new: str | None, at: datetime | None
    ) -> Json:
        if entry.id == entry.drive:
            kinds = {(True, False): "add_to_shared_drive", (False, True): "remove_from_shared_drive"}
            values = {
                "target": person,
                "membership_change_type": kinds.get((old is None, new is None), "change_roles"),
                "removed_role": _MEMBER_WORDS.get(old or "none", old or "none"),
                "added_role": _MEMBER_WORDS.get(new or "none", new or "none"),
            }
            parameters: list[Json] = [{"name": name, "value": value} for name, value in values.items()]
            return self.account.report("shared_drive_membership_change", entry, actor, parameters, at)
        is_outside = person.rpartition("@")[2] not in self.account.domains
        parameters = [
            {"name": "visibility_change", "value": "external" if is_outside and old is None else "none"},
            {"name": "visibility", "value": "shared_externally" if is_outside else "shared_internally"},
            {"name": "target_user", "value": person},
            {"name": "old_value", "multiValue": [_WORDS.get(old or "none", old or "none")]},
            {"name": "new_value", "multiValue": [_WORDS.get(new or "none", new or "none")]},
        ]
        return self.account.report("change_user_access", entry, actor, parameters, at)


def _error(refusal: RefusalError) -> Json:
    """Return an error's body as "Resolve errors" of the Drive API has it."""
    first: Json = {"domain": "global", "reason": refusal.reason, "message": refusal.message}
    if refusal.location:
        first |= {"locationType": "parameter", "location": refusal.location}
    return {"error": {"code": refusal.status, "message": refusal.message, "errors": [first]}}


def _make(options: argparse.Namespace) -> GoogleWorkspace:
    return GoogleWorkspace(options.key.read_text(), tuple(options.domain), options.administrator)


if __name__ == "__main__":
    command = argparse.ArgumentParser(
        prog="python -m local.platforms.google_workspace", description="A stand-in for Google Workspace."
    )
    command.add_argument("--key", type=Path, required=True, help="the service account's key file")
    command.add_argument("--domain", action="append", default=[], help="one of the company's domains")
    command.add_argument("--administrator", default="admin@contoso.com")
    run("Google Workspace", command, _make)
