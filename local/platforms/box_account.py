"""What Box's stand-in knows of its one enterprise: items, collaborations, groups, webhooks, and the event log.

Everything is as the app's service account sees it, in the shapes of Box's API reference.
"""

import hashlib
import itertools
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from local.platforms.box_webhooks import SERVICE_USER
from local.platforms.standin import Act

type Json = dict[str, Any]
type Key = tuple[str, str]

ROOT: Key = ("folder", "0")
SERVICE_ACCOUNT = "AutomationUser_4711_q1x2@boxdevedition.com"
FIRST_POSITION = 1_152_922_976_252_290_800
_KINDS = {"folders": "folder", "files": "file", "web_links": "web_link"}
_NUMBERS = itertools.count(90_000_000_001)


def user(address: str) -> Json:
    """Return a person as Box shows them in other things."""
    number = int(hashlib.sha256(address.lower().encode()).hexdigest()[:10], 16)
    return {"type": "user", "id": str(number), "name": address.partition("@")[0], "login": address}


class Account:
    """The enterprise. Items are known by kind and id: folders and files are numbered separately."""

    def __init__(self) -> None:
        self.items: dict[Key, Json] = {ROOT: {"id": "0", "name": "All Files", "parent": None}}
        self.collaborations: dict[str, Json] = {}
        self.places: dict[str, Key] = {}
        self.groups: dict[str, Json] = {}
        self.webhooks: dict[str, Json] = {}
        self.log: list[Json] = []
        self.forgotten = 0
        self.folders_list_inherited = False

    def seed(self, wanted: Mapping[str, Any]) -> None:
        """Take in what the control wants there to be."""
        for name, kind in _KINDS.items():
            self.items.update({(kind, one["id"]): dict(one) for one in wanted.get(name, [])})
        for given in wanted.get("collaborations", []):
            on = given.get("on") or given["item"]
            self.places[given["id"]] = (on["type"], on["id"])
            self.collaborations[given["id"]] = {name: value for name, value in given.items() if name != "on"}
        self.groups.update({one["id"]: one for one in wanted.get("groups", [])})
        self.log += wanted.get("events", [])
        for ident in wanted.get("gone", []):
            self.collaborations.pop(ident)
        self.folders_list_inherited = wanted.get("folders_list_inherited", self.folders_list_inherited)
        if wanted.get("forget_events"):
            self.forgotten = len(self.log)
        if wanted.get("forget_webhooks"):
            self.webhooks.clear()

    # --- items

    def find(self, key: Key) -> Json | None:
        """Return an item that the service account may see."""
        item = self.items.get(key)
        return None if item is None or any(one.get("hidden") for one in (item, *self._above(item))) else item

    def is_trashed(self, key: Key) -> bool:
        """Tell whether the item, or a folder above it, is in the trash."""
        return any(one.get("trashed") for one in (self.items[key], *self._above(self.items[key])))

    def _above(self, item: Json) -> list[Json]:
        above: list[Json] = []
        while item["parent"] is not None:
            item = self.items["folder", item["parent"]]
            above.insert(0, item)
        return above

    def _way(self, key: Key) -> list[Key]:
        return [*(("folder", folder["id"]) for folder in self._above(self.items[key])), key]

    def children(self, folder_id: str) -> list[Key]:
        """Return what lies in a folder: folders first, then files, then bookmarks."""
        inside = [key for key, item in self.items.items() if item["parent"] == folder_id]
        shown = [key for key in inside if self.find(key) and not self.items[key].get("trashed")]
        order = list(_KINDS.values())
        return sorted(shown, key=lambda key: (order.index(key[0]), int(key[1])))

    def mini(self, key: Key) -> Json:
        """Return the item as it stands in other things."""
        item = self.items[key]
        version = None if key == ROOT else "0"
        return {"type": key[0], "id": key[1], "sequence_id": version, "etag": version, "name": item["name"]}

    def whole(self, key: Key) -> Json:
        """Return all that can be asked for of an item."""
        item = self.items[key]
        above = [self.mini(("folder", folder["id"])) for folder in self._above(item)]
        whole = {
            **self.mini(key),
            "path_collection": {"total_count": len(above), "entries": above},
            "shared_link": _link(item.get("shared_link"), key),
            "item_status": "active",
        }
        if key[0] != "web_link":
            whole["is_externally_owned"] = bool(item.get("is_externally_owned"))
            whole["has_collaborations"] = bool(self.granted_on(key)) or bool(self._inherited(key))
        return whole

    def make(self, path: str, kind: str) -> Key:
        """Return the item at a path as the service account sees it; what is missing is made."""
        key = ROOT
        names = [name for name in path.split("/") if name]
        for depth, name in enumerate(names):
            last = depth == len(names) - 1
            wanted = "file" if last and kind == "file" else "folder"
            key = self._child(key[1], wanted, name)
        return key

    def _child(self, parent: str, kind: str, name: str) -> Key:
        for key, item in self.items.items():
            if key[0] == kind and item["parent"] == parent and item["name"] == name:
                return key
        number = str(next(_NUMBERS))
        self.items[kind, number] = {"id": number, "name": name, "parent": parent}
        return kind, number

    # --- collaborations

    def granted_on(self, key: Key) -> list[Json]:
        """Return the collaborations on this very item."""
        return [one for ident, one in self.collaborations.items() if self.places[ident] == key]

    def _inherited(self, key: Key) -> list[Json]:
        return [one for above in self._way(key)[1:-1] for one in self.granted_on(above)]

    def listed_on(self, key: Key) -> list[Json]:
        """Return what Box lists: for files, what they inherit as well."""
        with_inherited = key[0] == "file" or self.folders_list_inherited
        return self.granted_on(key) + (self._inherited(key) if with_inherited else [])

    def held(self, key: Key, person: str) -> Json | None:
        """Return the collaboration of a person or group on an item."""
        for one in self.granted_on(key):
            grantee = one["accessible_by"] or {}
            if person in (one["invite_email"], grantee.get("login"), grantee.get("name")):
                return one
        return None

    def invite(self, act: Act, key: Key, at: datetime) -> Json:
        """Make a collaboration. Somebody without an account is only known by address until they accept."""
        group = next((one for one in self.groups.values() if one["name"] == act.person), None)
        grantee = {"type": "group", "id": group["id"], "name": group["name"]} if group else user(act.person)
        number = str(next(_NUMBERS))
        made = {
            "type": "collaboration",
            "id": number,
            "created_by": user(act.sharer) if act.sharer else dict(SERVICE_USER),
            "created_at": _when(act.shared_at or at),
            "modified_at": _when(at),
            "expires_at": _when(act.expires_at) if act.expires_at else None,
            "status": "pending" if act.pending else "accepted",
            "accessible_by": None if act.pending else grantee,
            "invite_email": act.person if act.pending else None,
            "role": act.role,
            "acknowledged_at": None if act.pending else _when(at),
            "item": None if act.pending else self.mini(key),
            "is_access_only": False,
        }
        self.collaborations[number] = made
        self.places[number] = key
        return made

    def accept(self, collaboration: Json, person: str, at: datetime) -> None:
        """Let an invited person accept."""
        item = self.mini(self.places[collaboration["id"]])
        accepted = {"status": "accepted", "item": item, "accessible_by": user(person), "invite_email": None}
        collaboration.update({**accepted, "acknowledged_at": _when(at), "modified_at": _when(at)})

    # --- the log

    def tell(self, event_type: str, key: Key, by: Mapping[str, Any], at: datetime, **more: Any) -> None:
        """Write an event into the log."""
        item, above = self.items[key], self._above(self.items[key])
        parent = self.mini(("folder", above[-1]["id"])) if above else None
        login = item.get("owner", SERVICE_ACCOUNT)
        owner = {"type": "user", "id": "30633803054", "name": "Owner", "login": login}
        self.log.append(
            {
                "type": "event",
                "event_id": str(uuid.uuid4()),
                "event_type": event_type,
                "created_at": _when(at),
                "created_by": dict(by),
                "action_by": None,
                "ip_address": "Unknown IP",
                "session_id": None,
                "source": {"parent": parent, "owned_by": owner, **more.pop("source")},
                "additional_details": None,
                **more,
            }
        )

    def tell_collaboration(self, event_type: str, collaboration: Json, by: Mapping[str, Any], at: datetime) -> None:
        """Write what happened to a collaboration: seen in test data of elastic/integrations, package box_events."""
        key = self.places[collaboration["id"]]
        grantee = collaboration["accessible_by"]
        who = {"user_email": collaboration["invite_email"]}
        if grantee is not None:
            kind = grantee["type"]
            who = {f"{kind}_id": grantee["id"], f"{kind}_name": grantee["name"]}
        details = {
            "type": "box://event/additional_details/collaboration",
            "collab_id": collaboration["id"],
            "is_performed_by_admin": False,
            "role": (collaboration["role"] or "").title(),
        }
        self.tell(
            event_type,
            key,
            by,
            at,
            source={f"{key[0]}_id": key[1], f"{key[0]}_name": self.items[key]["name"], **who},
            additional_details=details,
            accessible_by=grantee,
        )

    def tell_link(self, event_type: str, key: Key, by: Mapping[str, Any], at: datetime) -> None:
        """Write what happened to a link."""
        source = {"item_type": key[0], "item_id": key[1], "item_name": self.items[key]["name"]}
        self.tell(event_type, key, by, at, source=source)

    def events(self, position: str, limit: int, types: set[str] | None) -> tuple[int, list[Json]]:
        """Return the next position and the events before it: out of order, and with one that was given before."""
        last = len(self.log)
        begin = last if position == "now" else max(self.forgotten, int(position) - FIRST_POSITION)
        fit = [number for number, event in enumerate(self.log) if types is None or event["event_type"] in types]
        chosen = [number for number in fit if number >= begin][:limit]
        if not chosen:
            return FIRST_POSITION + last, []
        again = [number for number in fit if self.forgotten <= number < begin][-1:]
        following = chosen[-1] + 1
        return FIRST_POSITION + following, [self.log[number] for number in reversed([*again, *chosen])]

    # --- webhooks

    def watching(self, key: Key, trigger: str) -> Iterator[Json]:
        """Return the webhooks that tell of this: those on the folder or one above; of files' collaborations none."""
        if trigger.startswith("COLLABORATION.") and key[0] != "folder":
            return
        way = [{"type": kind, "id": number} for kind, number in self._way(key)]
        yield from (hook for hook in self.webhooks.values() if hook["target"] in way and trigger in hook["triggers"])


def _when(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")


def _link(given: Mapping[str, Any] | None, key: Key) -> Json | None:
    if given is None:
        return None
    return {
        "url": f"https://contoso.app.box.com/s/{key[1]}",
        "access": given["access"],
        "effective_access": given.get("effective_access", given["access"]),
        "effective_permission": given.get("effective_permission", "can_download"),
        "is_password_enabled": False,
        "unshared_at": given.get("unshared_at"),
        "download_count": 0,
        "preview_count": 0,
        "permissions": {"can_preview": True, "can_download": True, "can_edit": False},
    }
