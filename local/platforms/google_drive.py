"""The stand-in's Drive v3: files, permissions, shared drives, changes."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from local.platforms.google_account import ROLES, Account, Entry, Json
from local.platforms.google_discovery import Pages, RefusalError
from local.platforms.google_push import Channels

if TYPE_CHECKING:
    from local.platforms.google_workspace import Call

type Offers = dict[str, dict[str, tuple[Callable[["Call"], Json | None], str | None]]]

_FILE = "kind,id,name,mimeType"
_CLAUSE = re.compile(
    r"(?P<trashed>trashed = (?:true|false))|(?P<mine>'me' in owners)"
    r"|'(?P<parent>[^'\\]+)' in parents|name = '(?P<name>(?:[^'\\]|\\['\\])*)'"
)


class Drive:
    """Speaks for an account."""

    def __init__(self, account: Account, channels: Channels, pages: Pages) -> None:
        """`channels`: where changes are watched."""
        self._account, self._channels = account, channels
        self._pages = pages

    def offers(self) -> Offers:
        """The calls by their names in the discovery document, and the fields that each shows by default."""
        calls: dict[str, tuple[Callable[[Call], Json | None], str | None]] = {
            "drive.files.get": (self.file, _FILE),
            "drive.files.list": (self.files, f"kind,nextPageToken,incompleteSearch,files({_FILE})"),
            "drive.permissions.list": (self.permissions, "kind,nextPageToken,permissions(kind,id,type,role)"),
            "drive.drives.list": (self.drives, "kind,nextPageToken,drives(kind,id,name)"),
            "drive.drives.get": (self.drive, "kind,id,name"),
            "drive.changes.getStartPageToken": (self.start, None),
            "drive.changes.list": (
                self.changes,
                f"kind,nextPageToken,newStartPageToken,changes(kind,changeType,time,removed,fileId,file({_FILE}))",
            ),
            "drive.changes.watch": (self.watch, None),
            "drive.channels.stop": (self.stop, None),
        }
        return {"drive.v3": calls}

    # --- files

    def file(self, call: "Call") -> Json:
        """files.get"""
        ident = call.values["fileId"]
        if ident == "root":
            ident = self._account.root_of(call.user.email)
        return self._shown(self._visible(ident, call), call.user.email)

    def files(self, call: "Call") -> Json:
        """files.list"""
        values, email = call.values, call.user.email
        found = [entry for entry in self._corpus(call) if self._account.role_of(email, entry.id)]
        for test in _query(values["q"] or "", email):
            found = [entry for entry in found if test(entry)]
        page, token = self._pages.of(found, values["pageToken"], values["pageSize"] or 100, "f")
        shown = [self._shown(entry, email) for entry in page]
        return {"kind": "drive#fileList", "incompleteSearch": False, "files": shown, **token}

    def _corpus(self, call: "Call") -> list[Entry]:
        values = call.values
        inner = [entry for entry in self._account.entries.values() if entry.parent is not None]
        if values["corpora"] == "drive":
            if not (values["driveId"] and values["includeItemsFromAllDrives"] and values["supportsAllDrives"]):
                raise RefusalError(403, "teamDrivesParameterConflict", "corpora=drive needs driveId and both flags")
            self._member(call, values["driveId"])
            return [entry for entry in inner if entry.drive == values["driveId"]]
        if values["corpora"] not in (None, "user") or values["driveId"]:
            raise RefusalError(400, "invalid", "Invalid Value", "corpora")
        return [entry for entry in inner if entry.drive is None or values["includeItemsFromAllDrives"]]

    def _visible(self, ident: str, call: "Call") -> Entry:
        entry = self._account.entries.get(ident)
        hidden = entry is None or (entry.drive is not None and not call.values["supportsAllDrives"])
        if entry is None or hidden or not self._account.role_of(call.user.email, ident):
            raise RefusalError(404, "notFound", f"File not found: {ident}.", "fileId")
        return entry

    def _shown(self, entry: Entry, email: str) -> Json:
        shown: Json = {
            "kind": "drive#file",
            "id": entry.id,
            "name": entry.name,
            "mimeType": entry.mime_type,
            "trashed": entry.trashed,
        }
        if entry.parent is not None and self._account.role_of(email, entry.parent):
            shown["parents"] = [entry.parent]
        if entry.drive is not None:
            return {**shown, "driveId": entry.drive, "hasAugmentedPermissions": bool(entry.grants)}
        owner = {"kind": "drive#user", "emailAddress": entry.owner, "displayName": entry.owner}
        is_shared = len(self._account.permissions(entry.id)) > 1
        return {**shown, "owners": [owner], "ownedByMe": entry.owner == email, "shared": is_shared}

    # --- permissions

    def permissions(self, call: "Call") -> Json:
        """permissions.list"""
        values, ident = call.values, call.values["fileId"]
        if values["useDomainAdminAccess"]:
            if ident not in self._account.drives or not self._is_administrator(call):
                raise RefusalError(404, "notFound", f"Shared drive not found: {ident}", "fileId")
        else:
            self._visible(ident, call)
            role = self._account.role_of(call.user.email, ident) or ROLES[0]
            if ROLES.index(role) < ROLES.index("writer"):
                raise RefusalError(
                    403, "insufficientFilePermissions", "The user does not have sufficient permissions for this file."
                )
        found = self._account.permissions(ident)
        page, token = self._pages.of(found, values["pageToken"], values["pageSize"] or 100, "p")
        return {"kind": "drive#permissionList", "permissions": page, **token}

    # --- shared drives

    def drives(self, call: "Call") -> Json:
        """drives.list"""
        if not call.values["useDomainAdminAccess"] or not self._is_administrator(call):
            raise RefusalError(403, "forbidden", "Not an administrator")
        wanted = re.fullmatch(r"name = '((?:[^'\\]|\\['\\])*)'", call.values["q"] or "name = ''")
        if wanted is None:
            raise RefusalError(400, "invalid", "Invalid Value", "q")
        name = _unquoted(wanted[1])
        found = [
            {"kind": "drive#drive", "id": ident, "name": other}
            for ident, other in self._account.drives.items()
            if not name or other.casefold() == name.casefold()
        ]
        page, token = self._pages.of(found, call.values["pageToken"], call.values["pageSize"] or 10, "d")
        return {"kind": "drive#driveList", "drives": page, **token}

    def drive(self, call: "Call") -> Json:
        """drives.get"""
        ident = call.values["driveId"]
        if not (call.values["useDomainAdminAccess"] and self._is_administrator(call)):
            self._member(call, ident)
        if ident not in self._account.drives:
            raise RefusalError(404, "notFound", f"Shared drive not found: {ident}", "driveId")
        return {"kind": "drive#drive", "id": ident, "name": self._account.drives[ident]}

    def _is_administrator(self, call: "Call") -> bool:
        return call.user.email == self._account.administrator

    def _member(self, call: "Call", drive: str) -> None:
        if drive not in self._account.drives or not self._account.role_of(call.user.email, drive):
            raise RefusalError(404, "notFound", f"Shared drive not found: {drive}", "driveId")

    # --- changes

    def start(self, call: "Call") -> Json:
        """changes.getStartPageToken"""
        self._whose(call)
        return {"kind": "drive#startPageToken", "startPageToken": f"c{len(self._account.changes)}"}

    def changes(self, call: "Call") -> Json:
        """changes.list"""
        values, email, log = call.values, call.user.email, self._account.changes
        drive, start = self._whose(call), self._position(values["pageToken"])
        size = values["pageSize"] or 100
        last = {change.ident: number for number, change in enumerate(log)}
        found = [
            number
            for number, change in enumerate(log[start:], start)
            if last[change.ident] == number  # an item is listed where it changed last
            and (drive in change.drives if drive else email in change.seen_by)
            and (drive or values["includeItemsFromAllDrives"] or not change.drives)
        ]
        shown = [self._change(log[number].ident, log[number].kind, drive, call) for number in found[:size]]
        answer: Json = {"kind": "drive#changeList", "changes": [one for one in shown if one]}
        if len(found) > size:
            return {**answer, "nextPageToken": f"c{found[size]}"}
        return {**answer, "newStartPageToken": f"c{len(log)}"}

    def _change(self, ident: str, kind: str, drive: str | None, call: "Call") -> Json | None:
        entry, email = self._account.entries.get(ident), call.user.email
        time = "2026-11-25T10:00:00.000Z"
        if kind == "drive":
            drive_now = {"kind": "drive#drive", "id": ident, "name": self._account.drives.get(ident, "")}
            changed: Json = {"driveId": ident, "drive": drive_now}
            return {"kind": "drive#change", "changeType": "drive", "time": time, "removed": False, **changed}
        sees = entry is not None and self._account.role_of(email, ident) and (not drive or entry.drive == drive)
        about = {"fileId": ident, **({"driveId": drive} if drive else {})}
        shown = {"file": self._shown(entry, email)} if entry and sees else {}
        if not sees and not call.values["includeRemoved"]:
            return None
        return {"kind": "drive#change", "changeType": "file", "time": time, "removed": not sees, **about, **shown}

    def watch(self, call: "Call") -> Json:
        """changes.watch"""
        drive = self._whose(call)
        self._position(call.values["pageToken"])
        return self._channels.make(("changes", drive or call.user.email), call.user.email, call.body)

    def stop(self, call: "Call") -> None:
        """channels.stop"""
        self._channels.stop(call.user.email, call.body)

    def _whose(self, call: "Call") -> str | None:
        values = call.values
        if values["driveId"] is None:
            return None
        if not values["supportsAllDrives"] or not values.get("includeItemsFromAllDrives", True):
            raise RefusalError(403, "teamDrivesParameterConflict", "driveId needs both flags")
        self._member(call, values["driveId"])
        return str(values["driveId"])

    def _position(self, token: str) -> int:
        if not re.fullmatch(r"c[0-9]{1,9}", token) or token in self._pages.voided:
            raise RefusalError(400, "invalid", "Invalid Value", "pageToken")
        return int(token[1:])


def _query(text: str, email: str) -> Iterator[Callable[[Entry], bool]]:
    """Return the tests of a search: those clauses of Drive's language that anybody here uses, joined with `and`."""
    position = 0
    while position < len(text):
        clause = _CLAUSE.match(text, position)
        if clause is None:
            raise RefusalError(400, "invalid", "Invalid Value", "q")
        yield _test(clause.groupdict(), email)
        position = clause.end()
        if position < len(text):
            if text[position : position + 5] != " and ":
                raise RefusalError(400, "invalid", "Invalid Value", "q")
            position += 5


def _test(clause: Mapping[str, Any], email: str) -> Callable[[Entry], bool]:
    if clause["trashed"]:
        wanted = clause["trashed"].endswith("true")
        return lambda entry: entry.trashed == wanted
    if clause["mine"]:
        return lambda entry: entry.owner == email
    if clause["parent"]:
        parent = clause["parent"]
        return lambda entry: entry.parent == parent
    name = _unquoted(clause["name"]).casefold()  # `=` does not mind letter case
    return lambda entry: entry.name.casefold() == name


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
