"""The stand-in's Admin SDK: the directory of users, groups and domains, and the reports of what people did in Drive."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from local.platforms.google_account import Account, Json, Person
from local.platforms.google_discovery import Pages, RefusalError
from local.platforms.google_push import Channels

if TYPE_CHECKING:
    from local.platforms.google_drive import Offers
    from local.platforms.google_workspace import Call

_KEPT = timedelta(days=180)
_REFUSED = RefusalError(403, "forbidden", "Not Authorized to access this resource/api")


class Admin:
    """Speaks for an account, to its administrator."""

    def __init__(self, account: Account, channels: Channels, pages: Pages) -> None:
        """`channels`: where activities are watched."""
        self._account, self._channels = account, channels
        self._pages = pages

    def offers(self) -> "Offers":
        """The calls by their names in the discovery documents."""
        directory: dict[str, tuple[Callable[[Call], Json | None], str | None]] = {
            "directory.users.list": (self.users, None),
            "directory.users.get": (self.user, None),
            "directory.groups.get": (self.group, None),
            "directory.members.list": (self.members, None),
            "directory.domains.list": (self.domains, None),
        }
        reports: dict[str, tuple[Callable[[Call], Json | None], str | None]] = {
            "reports.activities.list": (self.activities, None),
            "reports.activities.watch": (self.watch, None),
            "admin.channels.stop": (self.stop, None),
        }
        return {"admin.directory_v1": directory, "admin.reports_v1": reports}

    # --- directory

    def users(self, call: "Call") -> Json:
        """users.list"""
        self._let_in(call)
        if call.values["customer"] != "my_customer":
            raise RefusalError(400, "badRequest", "Bad Request")
        found = sorted((_user(person) for person in self._account.people.values()), key=lambda u: u["primaryEmail"])
        page, token = self._page(found, call, "u")
        return {"kind": "admin#directory#users", "etag": '"e"', "users": page, **token}

    def user(self, call: "Call") -> Json:
        """users.get"""
        self._let_in(call)
        key = call.values["userKey"]
        person = self._account.person(key)
        if person is None:
            raise self._missing(key)
        return _user(person)

    def group(self, call: "Call") -> Json:
        """groups.get"""
        self._let_in(call)
        key = call.values["groupKey"]
        if key not in self._account.groups:
            raise self._missing(key)
        return {"kind": "admin#directory#group", "id": f"g{len(key)}", "email": key, "name": key.partition("@")[0]}

    def members(self, call: "Call") -> Json:
        """members.list"""
        self._let_in(call)
        key = call.values["groupKey"]
        if key not in self._account.groups:
            raise self._missing(key)
        found = self._members(key, derived=call.values["includeDerivedMembership"] is True)
        page, token = self._page(found, call, "m")
        return {"kind": "admin#directory#members", "etag": '"e"', "members": page, **token}

    def _members(self, group: str, *, derived: bool) -> list[Json]:
        found = []
        for member in self._account.groups[group]:
            told = {"email": member.email, "status": member.status}
            shown = {name: value for name, value in told.items() if value is not None}
            ident = f"{abs(hash(member.email)) % 10**20:020d}"
            found.append(
                {"kind": "admin#directory#member", "id": ident, "role": "MEMBER", "type": member.type, **shown}
            )
            if derived and member.type == "GROUP" and member.email in self._account.groups:
                found += self._members(member.email, derived=True)
        return found

    def domains(self, call: "Call") -> Json:
        """domains.list"""
        self._let_in(call)
        if call.values["customer"] != "my_customer":
            raise RefusalError(400, "badRequest", "Bad Request")
        shown = [
            {"kind": "admin#directory#domain", "domainName": name, "isPrimary": number == 0, "verified": True}
            for number, name in enumerate(self._account.domains)
        ]
        return {"kind": "admin#directory#domains", "domains": shown}

    def _missing(self, key: str) -> RefusalError:
        """What is not of the company's domains is not shown to anybody, whether it exists or not."""
        is_own = key.rpartition("@")[2] in self._account.domains or "@" not in key
        return RefusalError(404, "notFound", f"Resource Not Found: {key}") if is_own else _REFUSED

    def _let_in(self, call: "Call") -> None:
        if call.user.email != self._account.administrator:
            raise _REFUSED

    # --- reports

    def activities(self, call: "Call") -> Json:
        """activities.list"""
        self._let_in(call)
        values = call.values
        if values["userKey"] != "all" or values["applicationName"] != "drive":
            raise RefusalError(400, "invalid", "Invalid Value", "applicationName")
        now = datetime.now(UTC)
        start = datetime.fromisoformat(values["startTime"]) if values["startTime"] else now - _KEPT
        if not now - _KEPT - timedelta(minutes=1) <= start <= now:
            raise RefusalError(400, "invalid", "Start time is out of range", "startTime")
        found = [
            activity
            for activity in sorted(self._account.activities, key=lambda one: one["id"]["time"], reverse=True)
            if datetime.fromisoformat(activity["id"]["time"]) >= start
            and _has(activity, values["eventName"], values["filters"])
        ]
        page, token = self._page(found, call, "a")
        return {"kind": "admin#reports#activities", "etag": '"e"', **({"items": page} if page else {}), **token}

    def watch(self, call: "Call") -> Json:
        """activities.watch"""
        self._let_in(call)
        return self._channels.make(("reports", call.values["eventName"] or ""), call.user.email, call.body)

    def stop(self, call: "Call") -> None:
        """channels.stop"""
        self._channels.stop(call.user.email, call.body)

    def _page(self, found: list[Json], call: "Call", kind: str) -> tuple[list[Json], Json]:
        return self._pages.of(found, call.values["pageToken"], call.values["maxResults"], kind)


def _user(person: Person) -> Json:
    return {
        "kind": "admin#directory#user",
        "id": person.id,
        "primaryEmail": person.email,
        "suspended": person.suspended,
        "archived": person.archived,
        "isAdmin": False,
    }


def _has(activity: Json, event: str | None, filters: str | None) -> bool:
    if event is not None and event not in {one["name"] for one in activity["events"]}:
        return False
    if filters is None:
        return True
    wanted = re.fullmatch(r"doc_id==([A-Za-z0-9_-]+)", filters)
    if wanted is None:
        raise RefusalError(400, "invalid", "Invalid Value", "filters")
    parameters: list[dict[str, Any]] = [p for one in activity["events"] for p in one["parameters"]]
    return any(p["name"] == "doc_id" and p.get("value") == wanted[1] for p in parameters)
