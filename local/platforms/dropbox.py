"""A stand-in for the part of Dropbox's API that says what a team shares, and for its webhook.

`python -m local.platforms.dropbox --port N [--team-space]`. Besides the control of every stand-in (see standin.py):

    POST /control/webhook {"address"}   what one enters in the App Console; the address has to answer the challenge
    POST /control/seed    {"members": [{"email", "status"}], "groups": [{"name", "members", "same_team"}],
                           "folders": [path], "files": [path], "outside_folders": [{"name", "member"}],
                           "app_folders": [member], "hidden": [path], ...}, and how the API behaves: "page" (entries on
                           a page of those that cannot be asked for), "empty_log_pages", "repeats_namespaces",
                           "omits_folder_ids", "scopes", "expire_tokens", "void" (cursors of the log: "reset" or
                           "bad_cursor"), "forget_cursors"
    POST /control/happen  {"what": "claim", "invited", "person", "path"} | {"what": "leave", "person", "path"} |
                          {"what": "unshare", "path", "kind", "by"} | {"what": "status", "person", "status"} |
                          {"what": "restrict", "path"} | {"what": "event", "category", "event"} |
                          {"what": "link", "owner", "path", "kind", "level", "audience", "expires", "to", "remove"}

A `person` that is "group:<name>" is a group. What nobody is told of ("notify": "never") is not in the log either.
"""

import argparse
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from local.platforms import dropbox_acts
from local.platforms.dropbox_reads import Reads, Who
from local.platforms.dropbox_routes import ROUTES, BadRequestError, RouteError, judge
from local.platforms.dropbox_team import Team
from local.platforms.standin import Act, StandIn, repeats, run

type Json = dict[str, Any]

_ALL_SCOPES = frozenset(route.scope for route in ROUTES.values()) | {"team_data.member"}
_LIFE = 14_400  # seconds
_JSON = "application/json"  # Dropbox's SDK takes nothing that has another content type than exactly this one


@dataclass(frozen=True)
class App:
    """The app as the App Console shows it, with the token that a team admin has given it."""

    key: str
    secret: str
    refresh_token: str


class Dropbox(StandIn):
    """One team, linked to one app."""

    def __init__(self, app: App, admin: str = "admin@contoso.example", *, team_space: bool = False) -> None:
        """`admin`: the address of the team admin who has linked the app."""
        super().__init__()
        self.credentials, self.team = app, Team(admin, team_space=team_space)
        self.reads = Reads(self.team)
        self.tokens: set[str] = set()
        self.expired: set[str] = set()
        self.scopes: frozenset[str] = _ALL_SCOPES
        self.webhook: str | None = None

    def routes(self) -> Sequence[web.RouteDef]:
        """The platform's API."""
        return [
            web.post("/oauth2/token", self.token),
            *(web.post(f"/2/{name}", self.call) for name in ROUTES),
            web.post("/control/seed", self.seed),
            web.post("/control/happen", self.happen),
            web.post("/control/webhook", self.enter_webhook),
        ]

    def refuse(self, request: web.Request) -> web.Response | None:
        """Judge the token, the scope, and in whose name the call is made."""
        if request.path == "/oauth2/token":
            return None
        route = ROUTES.get(request.path.removeprefix("/2/"))
        if route is None:
            return _text(404, "Not found")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or token not in self.tokens:
            return self.error(401, "expired_access_token" if token in self.expired else "invalid_access_token", "")
        if request.content_type != "application/json":
            return _text(400, 'Bad HTTP "Content-Type" header')
        needed = {route.scope} | ({"team_data.member"} if route.auth == "user" else set())
        if missing := sorted(needed - self.scopes):
            return _error(401, "missing_scope/...", {".tag": "missing_scope", "required_scope": missing[0]})
        as_user, as_admin = (request.headers.get(f"Dropbox-API-Select-{one}") for one in ("User", "Admin"))
        if route.auth == "team":
            return _text(400, "This API function operates on a team.") if as_user or as_admin else None
        if bool(as_user) == bool(as_admin):
            return _text(400, "This API function operates on a single Dropbox account, but the token is for a team.")
        if as_admin and route.admin is None:
            return _text(400, "This API function does not support Dropbox-API-Select-Admin.")
        if as_admin and as_admin != self.team.admin.id:
            return self.error(401, "invalid_select_admin", "")
        member = self.team.member_by_id(as_user) if as_user else None
        if as_user and (member is None or member.status == "removed"):
            return self.error(401, "invalid_select_user", "")
        if member is not None and member.status == "suspended":
            return self.error(401, "user_suspended", "")
        return None

    def error(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
        """Return an error as Dropbox writes it."""
        if status == 429 and (headers or {}).get("Retry-After", "").isdigit():
            wait = int((headers or {})["Retry-After"])
            body = {"reason": {".tag": "too_many_requests"}, "retry_after": wait}
            return _error(429, "too_many_requests/...", body, headers)
        if status in (401, 403):
            return _error(status, f"{code}/...", {".tag": code}, headers)
        return _text(status, message, headers)

    def _fail(self, fault: dict[str, Any], request: web.Request) -> web.Response:
        answer = super()._fail(fault, request)
        if "body" in fault:
            answer.headers["Content-Type"] = fault.get("content_type", _JSON)
        return answer

    async def token(self, request: web.Request) -> web.Response:
        """Give a new short-lived token for the refresh token."""
        form, app = await request.post(), self.credentials
        if form.get("grant_type") != "refresh_token":
            return _answer({"error": "unsupported_grant_type"}, 400)
        if (form.get("client_id"), form.get("client_secret")) != (app.key, app.secret):
            return _answer({"error": "invalid_client: Invalid client_id or client_secret"}, 400)
        if form.get("refresh_token") != app.refresh_token:
            return _answer({"error": "invalid_grant", "error_description": "refresh token is invalid or revoked"}, 400)
        made = f"sl.u.{secrets.token_urlsafe(24)}"
        self.tokens.add(made)
        return _answer({"access_token": made, "token_type": "bearer", "expires_in": _LIFE})

    async def call(self, request: web.Request) -> web.Response:
        """Answer a call of the API."""
        name = request.path.removeprefix("/2/")
        try:
            argument = judge(name, json.loads(await request.text()))
            return _answer(self.reads.answer(name, argument, self._who(request)))
        except BadRequestError as error:
            return _text(400, str(error))
        except json.JSONDecodeError:
            return _text(400, f'Error in call to API function "{name}": request body: could not decode as JSON')
        except RouteError as error:
            return _error(409, error.summary, error.body)

    def _who(self, request: web.Request) -> Who:
        as_user = request.headers.get("Dropbox-API-Select-User")
        member = self.team.member_by_id(as_user) if as_user else self.team.admin
        assert member is not None
        root = request.headers.get("Dropbox-API-Path-Root")
        if root is None:
            return Who(member, as_admin=as_user is None, root=member.home)
        if not ROUTES[request.path.removeprefix("/2/")].takes_path_root:
            raise BadRequestError("This API function does not take Dropbox-API-Path-Root.")
        mode: Json = json.loads(root)
        namespace = str(mode.get(mode.get(".tag", "")))
        if mode.get(".tag") not in ("namespace_id", "root") or namespace not in self.team.namespaces:
            raise BadRequestError("Bad Dropbox-API-Path-Root header")
        return Who(member, as_admin=as_user is None, root=namespace)

    # --- the control

    async def seed(self, request: web.Request) -> web.Response:
        """Take in what there is, and how the API is to behave."""
        wanted: Json = await request.json()
        team, reads = self.team, self.reads
        for one in wanted.get("members", []):
            team.member(one["email"]).status = one.get("status", "active")
        reads.groups(wanted.get("groups", []))
        for path in wanted.get("folders", []):
            team.shared_folder(path)
        for path in wanted.get("files", []):
            team.file(path)
        for one in wanted.get("outside_folders", []):
            team.outside_folder(one["name"], one["member"])
        for one in wanted.get("app_folders", []):
            team.app_folder(one)
        for path in wanted.get("hidden", []):
            team.shared_folder(path).hidden = True
        reads.behave(wanted)
        if "scopes" in wanted:
            self.scopes = frozenset(wanted["scopes"])
        if wanted.get("expire_tokens"):
            self.expired |= self.tokens
            self.tokens.clear()
        if "admin" in wanted:
            team.admin = team.member(wanted["admin"])
        return web.Response(status=204)

    async def happen(self, request: web.Request) -> web.Response:
        """Let something happen that only happens at Dropbox."""
        try:
            dropbox_acts.happen(self.team, await request.json())
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        self.notify([self.team.admin.id], 1)
        return web.Response(status=204)

    async def enter_webhook(self, request: web.Request) -> web.Response:
        """Enter the webhook's address, as in the App Console: it is asked to send back a challenge."""
        address, challenge = (await request.json())["address"], secrets.token_urlsafe(24)
        assert self._session is not None
        try:
            async with self._session.get(address, params={"challenge": challenge}) as answer:
                proof, sniffing = await answer.text(), answer.headers.get("X-Content-Type-Options")
                if (answer.status, answer.content_type, sniffing, proof) != (200, "text/plain", "nosniff", challenge):
                    return _text(400, "The webhook did not send back the challenge.")
        except aiohttp.ClientError:
            return _text(400, "The webhook does not answer.")
        self.webhook = address
        return web.Response(status=204)

    async def carry_out(self, act: Act) -> None:
        """Do what a user does."""
        try:
            members = dropbox_acts.perform(self.team, act)
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        self.notify(members, len(repeats(act.notify)))

    def notify(self, members: Sequence[str], times: int) -> None:
        """Tell the webhook for whom something has changed; it says no more than that."""
        if self.webhook is None:
            return
        whose = {"teams": {self.reads.team_id: list(members)}}
        body = json.dumps({"list_folder": whose, "delta": whose}).encode()
        for _ in range(times):
            self.deliver(self.webhook, signed(body, self.credentials.secret), body)


def signed(body: bytes, app_secret: str) -> dict[str, str]:
    """Return the headers of a notification."""
    return {
        "X-Dropbox-Signature": hmac.digest(app_secret.encode(), body, "sha256").hex(),
        "Content-Type": "application/json",
        "User-Agent": "DropboxWebhooks/1.0",
    }


def _answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    named = {"Content-Type": _JSON, "X-Dropbox-Request-Id": secrets.token_hex(16), **(headers or {})}
    return web.Response(body=json.dumps(body).encode(), status=status, headers=named)


def _error(status: int, summary: str, error: Json, headers: Mapping[str, str] | None = None) -> web.Response:
    return _answer({"error_summary": summary, "error": error}, status, headers)


def _text(status: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=message, headers=headers)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m local.platforms.dropbox", description="A stand-in for Dropbox.")
    parser.add_argument("--app-key", default="local-app-key")
    parser.add_argument("--app-secret", default="local-app-secret")
    parser.add_argument("--refresh-token", default="local-refresh-token")
    parser.add_argument("--admin", default="admin@contoso.example")
    parser.add_argument("--team-space", action="store_true")
    run(
        "Dropbox",
        parser,
        lambda given: Dropbox(
            App(given.app_key, given.app_secret, given.refresh_token), given.admin, team_space=given.team_space
        ),
    )
