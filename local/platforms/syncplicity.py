"""A stand-in for the part of Syncplicity's API that says who has which folder, and what happened in the company.

`python -m local.platforms.syncplicity --port N`. There are no webhooks: what users do (`POST /control/act`) is told by
the company's event feed only. A path is `/<owner's address>/<folder>`. Kind `root` shares that folder, kind `folder`
shares a folder in it by itself, kind `file` makes a link for the person to a file in it. A person of the company's
domains becomes a user when first named, anybody else an external account.
"""

import argparse
import base64
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from aiohttp import web

from local.platforms.standin import Act, StandIn, numbers, repeats, run
from local.platforms.standin import serve as serve

type Json = dict[str, Any]

PERMISSIONS = {"None": 0, "ReadWrite": 1, "Contributor": 2, "ReadOnly": 3}
LINK_PERMISSIONS = {"None": 0, "ReadOnly": 1, "ReadWrite": 3}
ALWAYS_WRITTEN = {"Mapped", "DownloadEnabled", "UploadEnabled"}  # EmitDefaultValue = true in SyncPoint.cs
SYNCPLICITY_DRIVE = 8
CREATED, DELETED = 19, 18
_INCLUDES, _TYPES = {"participants", "inviter", "children"}, set("12345678")


@dataclass
class Person:
    """Somebody with an account: a user of the company, or an external one."""

    id: str
    address: str
    first: str
    last: str
    ours: bool
    more: Json = field(default_factory=dict)

    def shown(self) -> Json:
        """As the API writes a user."""
        whole = {"Id": self.id, "EmailAddress": self.address, "FirstName": self.first, "LastName": self.last}
        return _written({**whole, "AccountType": 3 if self.ours else 1, "Status": 2, **self.more})


@dataclass
class Folder:
    """A syncpoint. `people`: permission and inviter by participant."""

    id: int
    name: str
    owner: Person
    type: int = 6
    above: "Folder | None" = None
    people: dict[str, tuple[Person, int, Person | None]] = field(default_factory=dict)

    def is_visible_to(self, person: str) -> bool:
        """Whoever has an upper folder has those beneath it."""
        mine = person == self.owner.id or person in self.people
        return mine or (self.above is not None and self.above.is_visible_to(person))

    def participants(self, *, inviter: bool) -> list[Json]:
        """As the API writes them."""
        return [
            _written(
                {
                    "SyncPointId": self.id,
                    "User": person.shown(),
                    "Inviter": by.shown() if by and inviter else None,
                    "Permission": permission,
                }
            )
            for person, permission, by in self.people.values()
        ]


class Syncplicity(StandIn):
    """One company. The switches are for what is not documented, or goes wrong."""

    def __init__(self, credentials: Mapping[str, str], domains: Sequence[str] = ("contoso.com",)) -> None:
        """`credentials`: app_key, app_secret, application_token (of a global administrator), company_id."""
        super().__init__()
        self.credentials, self.domains = credentials, domains
        self.people: dict[str, Person] = {}
        self.folders: dict[int, Folder] = {}
        self.links: list[tuple[str, Json]] = []
        self.groups: dict[str, tuple[str, list[Person]]] = {}
        self.events: list[Json] = []
        self.tokens: set[str] = set()
        self.administrator = self.person(f"admin@{domains[0]}")
        self.may_act_for_others = True
        self.acts_not_for: set[str] = set()
        self.expired_is: Literal[401, 403] = 401
        self.writes_capitals = False
        self.names_owner_by: Literal["address", "id", "nothing"] = "address"
        self.includes_participants = True
        self.lists_folders_beneath = True
        self.pages_users = True
        self.forgotten = 0

    def routes(self) -> Sequence[web.RouteDef]:
        """The calls."""
        return [
            web.post("/oauth/token", self._token),
            web.get("/provisioning/company_users.svc/company/{company}/users", self._users),
            web.get("/provisioning/user.svc/{address}", self._user),
            web.get("/provisioning/group_members.svc/{group}", self._members),
            web.get("/syncpoint/syncpoints.svc/", self._syncpoints),
            web.get("/syncpoint/syncpoint_participants.svc/{id:[0-9]+}/participants", self._participants),
            web.get("/syncpoint/links.svc/", self._links),
            web.get("/events/company", self._events),
        ]

    # --- what users do

    def person(self, address: str, **more: Any) -> Person:
        """Return the person with the address, made if need be; `more` is what the API shows besides."""
        ident = str(uuid.uuid5(uuid.NAMESPACE_URL, address.lower()))
        if ident not in self.people:
            first, _, last = address.partition("@")[0].title().partition(".")
            ours = address.lower().rpartition("@")[2] in self.domains
            self.people[ident] = Person(ident, address, first, last, ours)
        self.people[ident].more |= more
        return self.people[ident]

    def folder(self, owner: str, name: str, *, above: Folder | None = None, **more: Any) -> Folder:
        """Make a folder; two may have one name."""
        made = Folder(next(numbers) + 1000, name, self.person(owner), above=above, **more)
        self.folders[made.id] = made
        return made

    def share(self, folder: Folder, person: str, permission: int, inviter: str | None = None) -> None:
        """Let somebody take part, or change what they may do."""
        whom = self.person(person)
        known = folder.people.get(whom.id)
        by = self.person(inviter) if inviter else (known[2] if known else folder.owner)
        folder.people[whom.id] = (whom, permission, by)

    def link(self, maker: str, folder: Folder, virtual_path: str, **more: Any) -> Json:
        """Make a link; `more` is what the API shows of it."""
        made = {
            "Token": secrets.token_urlsafe(12),
            "SyncPointId": folder.id,
            "VirtualPath": virtual_path,
            "SharedDateUtc": date(datetime.now(UTC)),
            **more,
        }
        self.links.append((self.person(maker).id, made))
        return made

    def tell(self, folder: Folder, type_id: int | None = None, **more: Any) -> None:
        """Write an event about a folder. What the events are called is not documented."""
        owner = {"address": folder.owner.address, "id": folder.owner.id, "nothing": None}[self.names_owner_by]
        actor = {"Uid": folder.owner.id, "FullName": folder.owner.first, "Email": folder.owner.address}
        self.events.append(
            {
                "Id": str(uuid.uuid4()),
                "App": "syncplicity",
                "Event": "syncpoint",
                "TimeStamp": int(datetime.now(UTC).timestamp() * 1000),
                "Version": 1,
                "Data": {
                    "TypeId": type_id,
                    "Company": {"Uid": self.credentials["company_id"], "Org_Id": "1"},
                    "Source": {"User": actor, "Machine": None},
                    "File": None,
                    "Folder": None,
                    "Syncpoint": {"Id": folder.id, "Rol": 1, "Hierarchy": 0, "Name": folder.name, "Owner": owner},
                    **more,
                },
            }
        )

    async def carry_out(self, act: Act) -> None:
        """Share, change a role, or take back."""
        owner, name, *rest = [part for part in act.path.split("/") if part] + ["", ""]
        rest = [part for part in rest if part]
        if "@" not in owner or not name or (act.kind == "root") != (not rest) or act.pending:
            raise web.HTTPBadRequest(text="The path is /<owner's address>/<folder>, and deeper only for other kinds.")
        top = self._made(owner, name, None)
        if act.kind == "file":
            self._carry_out_link(act, top, "\\" + "\\".join(rest))
            return
        folder = top if act.kind == "root" else self._made(owner, rest[-1], top)
        if act.act == "remove":
            folder.people.pop(self.person(act.person).id, None)
        else:
            self.share(folder, act.person, _number(PERMISSIONS, act.role or "ReadOnly"), act.sharer)
        for _ in repeats(act.notify):
            self.tell(folder)

    def _made(self, owner: str, name: str, above: Folder | None) -> Folder:
        same = (
            one for one in self.folders.values() if (one.owner.address, one.name, one.above) == (owner, name, above)
        )
        return next(same, None) or self.folder(owner, name, above=above)

    def _carry_out_link(self, act: Act, top: Folder, path: str) -> None:
        whom = self.person(act.person).shown()
        for maker, link in [*self.links]:
            if (link["SyncPointId"], link["VirtualPath"]) == (top.id, path) and whom in link["Users"]:
                self.links.remove((maker, link))
        if act.act != "remove":
            days = (act.expires_at - (act.shared_at or datetime.now(UTC))) if act.expires_at else timedelta(0)
            more = {"ShareLinkPolicy": 4, "Users": [whom], "ShareResourceType": 1, "LinkExpireInDays": days.days}
            more |= {"LinkPermissionType": _number(LINK_PERMISSIONS, act.role or "ReadOnly")}
            more |= {
                "LinkExpirationPolicy": 1 if days else 2,
                "SharedDateUtc": date(act.shared_at or datetime.now(UTC)),
            }
            self.link(act.sharer or top.owner.address, top, path, **more)

    # --- the door

    def refuse(self, request: web.Request) -> web.Response | None:
        """Only bearers of our tokens come in, with the app's key, and asking for JSON."""
        if request.headers.get("Accept") != "application/json":
            return self.error(406, "accept", "Not Acceptable")
        if request.path == "/oauth/token":
            return None
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or token not in self.tokens:
            return self.error(self.expired_is, "keymanagement.service.invalid_access_token", "Invalid Access Token")
        if request.headers.get("AppKey") != self.credentials["app_key"]:
            return self.error(401, "oauth.v2.InvalidApiKey", "Invalid ApiKey")
        user = request.headers.get("As-User")
        if user is not None and (user in self.acts_not_for or not self._is_ours(user)) and self.may_act_for_others:
            return self.error(403, "403", "Forbidden")
        return None

    def error(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
        """Return an error as the API's gateway writes it ("API Development Guidelines")."""
        fault = {"faultstring": message, "detail": {"errorcode": code}}
        return web.json_response({"fault": fault}, status=status, headers=headers)

    async def _token(self, request: web.Request) -> web.Response:
        form = dict(await request.post())
        key = f"{self.credentials['app_key']}:{self.credentials['app_secret']}"
        basic = f"Basic {base64.b64encode(key.encode()).decode()}"
        if request.content_type != "application/x-www-form-urlencoded" or form != {"grant_type": "client_credentials"}:
            return self.error(400, "invalid_request", "Invalid grant")
        if request.headers.get("Authorization") != basic:
            return self.error(401, "invalid_client", "Client credentials are invalid")
        if request.headers.get("Sync-App-Token") != self.credentials["application_token"]:
            return self.error(401, "invalid_token", "Application token is invalid")
        token = secrets.token_urlsafe(24)
        self.tokens.add(token)
        return web.json_response(
            {
                "issued_at": str(int(datetime.now(UTC).timestamp() * 1000)),
                "scope": "readwrite read",
                "token_type": "Bearer",
                "expires_in": "3600",
                "access_token": token,
                "refresh_token": "",
                "user_id": self.administrator.id,
                "user_email": self.administrator.address,
                "user_company_id": self.credentials["company_id"],
            }
        )

    def _is_ours(self, ident: str) -> bool:
        return ident in self.people and self.people[ident].ours

    def _requester(self, request: web.Request) -> str:
        """Whose rights a call has: without the privilege, As-User is ignored."""
        return request.headers.get("As-User", "") if self.may_act_for_others else self.administrator.id

    def _only_knows(self, request: web.Request, *names: str) -> None:
        if set(request.query) - set(names):
            raise web.HTTPBadRequest(reason="Unknown parameter")

    # --- the calls

    async def _users(self, request: web.Request) -> web.Response:
        self._only_knows(request, "limit", "lastUserGuid")
        if request.match_info["company"] != self.credentials["company_id"]:
            return self.error(404, "404", "(Not Found) - Wrong Company ID")
        users = sorted((person for person in self.people.values() if person.ours), key=lambda person: person.id)
        if self.pages_users:
            users = [user for user in users if user.id > request.query.get("lastUserGuid", "")]
            users = users[: int(request.query.get("limit", len(users)))]
        return web.json_response([user.shown() for user in users])

    async def _user(self, request: web.Request) -> web.Response:
        address = request.match_info["address"].lower()
        found = [person for person in self.people.values() if person.ours and person.address.lower() == address]
        return web.json_response(found[0].shown()) if found else self.error(404, "404", "(Not Found) - Unknown User")

    async def _members(self, request: web.Request) -> web.Response:
        if (group := self.groups.get(request.match_info["group"])) is None:
            return self.error(404, "404", "(Not Found) - Unknown Group")
        return web.json_response([person.shown() for person in group[1]])

    async def _syncpoints(self, request: web.Request) -> web.Response:
        self._only_knows(request, "include", "includeType")
        include = set(filter(None, request.query.get("include", "").split(",")))
        types = set(filter(None, request.query.get("includeType", "").split(",")))
        if include - _INCLUDES or types - _TYPES:
            raise web.HTTPBadRequest(reason="Unknown include")
        types = types or _TYPES - {str(SYNCPLICITY_DRIVE)}
        who = self._requester(request)
        shown = [one for one in self.folders.values() if one.is_visible_to(who) and str(one.type) in types]
        top = [one for one in shown if one.above is None or self.lists_folders_beneath]
        return web.json_response([self._written(one, who, include) for one in top])

    def _written(self, one: Folder, who: str, include: set[str]) -> Json:
        above = {"Id": one.above.id, "Name": one.above.name} if one.above and self.lists_folders_beneath else None
        beneath = [other for other in self.folders.values() if other.above is one and other.is_visible_to(who)]
        told = self.includes_participants and "participants" in include
        return _written(
            {
                "Id": one.id,
                "Type": one.type,
                "Name": one.name,
                "RootFolderId": one.id + 5000,
                "Mapped": False,
                "DownloadEnabled": False,
                "UploadEnabled": False,
                "Shared": bool(one.people),
                "Owner": one.owner.shown(),
                "Permission": one.people[who][1] if who in one.people else 0,
                "Participants": one.participants(inviter="inviter" in include) if told else None,
                "Parent": above,
                "PathToRoot": f"\\{one.above.name}\\{one.name}" if one.above and above else None,
                "Children": [self._written(other, who, include) for other in beneath]
                if "children" in include
                else None,
            }
        )

    async def _participants(self, request: web.Request) -> web.Response:
        folder = self.folders.get(int(request.match_info["id"]))
        if folder is None or not folder.is_visible_to(self._requester(request)):
            return self.error(404, "404", "(Not Found) - Unknown Syncpoint")
        return web.json_response(folder.participants(inviter=True))

    async def _links(self, request: web.Request) -> web.Response:
        who = self._requester(request)
        return web.json_response([_written(link) for maker, link in self.links if maker == who])

    async def _events(self, request: web.Request) -> web.Response:
        self._only_knows(request, "limit")
        try:
            start = int(base64.b64decode(request.headers.get("X-SYNCP-NEXTPAGE", "MA==")))
            limit = int(request.query["limit"])
        except (KeyError, ValueError):
            return self.error(400, "400", "(Bad Request)")
        if "X-SYNCP-NEXTPAGE" in request.headers and not self.forgotten <= start <= len(self.events):
            return self.error(400, "400", "(Bad Request) - Unknown page")
        start = max(start, self.forgotten)
        page = self.events[start : start + limit]
        following = base64.b64encode(str(start + len(page)).encode()).decode()
        return web.json_response(
            page if self.writes_capitals else _in_small_letters(page),
            headers={"X-SYNCP-NEXTPAGE": following} if page else {},
        )


def date(time: datetime) -> str:
    """Return a date as WCF writes it in JSON."""
    return f"/Date({int(time.timestamp() * 1000)}+0000)/"


def _number(names: Mapping[str, int], role: str) -> int:
    if role not in names:
        raise web.HTTPBadRequest(text="There is no such role.")
    return names[role]


def _written(whole: Mapping[str, Any]) -> Json:
    """Leave out what has the default value of its type, as the services do."""
    return {name: value for name, value in whole.items() if value or name in ALWAYS_WRITTEN}


def _in_small_letters(value: Any) -> Any:
    if isinstance(value, dict):
        return {name.lower(): _in_small_letters(inner) for name, inner in value.items()}
    return [_in_small_letters(inner) for inner in value] if isinstance(value, list) else value


def main() -> None:
    """Serve as a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m local.platforms.syncplicity", description="A stand-in.")
    parser.add_argument("--app-key", default="local-app-key")
    parser.add_argument("--app-secret", default="local-app-secret")
    parser.add_argument("--application-token", default="local-application-token")
    parser.add_argument("--company-id", default="00000000-0000-4000-8000-000000000001")
    parser.add_argument("--domain", action="append", help="of the company's own addresses (default: contoso.com)")
    names = ("app_key", "app_secret", "application_token", "company_id")
    run(
        "Syncplicity",
        parser,
        lambda options: Syncplicity(
            {name: getattr(options, name) for name in names}, options.domain or ("contoso.com",)
        ),
    )


if __name__ == "__main__":
    main()
