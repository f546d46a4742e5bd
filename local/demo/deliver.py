"""Turns a step of a story into the platform's own signed webhook, and posts it."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from local.demo.steps import Step
from local.platforms import box_webhooks, relay

_CHAPTER_SECONDS = 600
_RELAY = "/relay/securisync/contoso"

type Delivered = tuple[dict[str, str], bytes]


@dataclass(frozen=True)
class Answer:
    """What came of one POST. `event_id` begins the id under which the app keeps the event."""

    step: Step
    event_id: str
    status: int
    code: str

    @property
    def expected(self) -> bool:
        """Whether the answer is the one that the story tells."""
        return (self.status, self.code) == self.step.answer


class Sources:
    """What Box and the relay say, and when.

    Args:
        secrets: of each connection, by its id and the platform's name of the secret.
        started: when the story began at the sources.
    """

    def __init__(self, host_url: str, secrets: Mapping[str, Mapping[str, str]], started: datetime) -> None:
        self._host_url, self._secrets, self._started = host_url, secrets, started

    async def send(self, session: aiohttp.ClientSession, chapter: int, step: Step) -> list[Answer]:
        """Deliver a step as often as it says; return the answers."""
        at, name = self._when(step, chapter)
        if step.damage:
            name = f"{name}-{_digest(step.damage)[:8]}"
        event_id = f"box:{name}" if step.source == "box" else f"inbound:{_inbound_id(_RELAY, name)}"
        connection = "nowhere" if step.damage == "no such connection" else step.source
        answers = []
        for _ in range(1 + step.again):
            now = datetime.now(UTC)
            make = self._box if step.source == "box" else self._relay
            headers, body = make(step, name, at, now - timedelta(hours=1) if step.damage == "stale timestamp" else now)
            if step.damage == "forged signature":
                body = body.replace(b"mallory", b"malory")
            url = f"{self._host_url}/api/webhooks/{connection}"
            async with session.post(url, headers=headers, data=body) as response:
                code = (await response.json())["code"]
                answers.append(Answer(step, event_id, response.status, code))
        return answers

    def document(self, step: Step, chapter: int) -> dict[str, Any]:
        """What a relay writes about a step, for a file."""
        at, name = self._when(step, chapter)
        return _document(step, name, at, self._started)

    def _when(self, step: Step, chapter: int) -> tuple[datetime, str]:
        at = self._started + timedelta(seconds=chapter * _CHAPTER_SECONDS + step.at)
        return at, _digest(step.source, step.person, step.item, step.change, step.role or "", at.isoformat())

    def _box(self, step: Step, name: str, at: datetime, now: datetime) -> Delivered:
        keys = self._secrets["box"]["primary_key"], self._secrets["box"]["secondary_key"]
        if step.damage == "not JSON":
            body = b'{"trigger": COLLABORATION.CREATED}'
            return box_webhooks.signed(body, *keys, now), body
        trigger, source = (
            ("SHARED_LINK.CREATED", _link(step)) if step.to == "anyone" else _collaboration(step, self._started)
        )
        return box_webhooks.delivery(trigger, source, *keys, at, event_id=name, sent_at=now)

    def _relay(self, step: Step, name: str, at: datetime, now: datetime) -> Delivered:
        secret, delivery_id = self._secrets["securisync"]["signing_secret"], f"msg_{name}"
        if step.damage == "not JSON":
            body = b"share=Team&role=Modify"
            return relay.signed(body, secret, now, delivery_id), body
        return relay.delivery(_document(step, name, at, self._started), secret, now, delivery_id)


def box_account(steps: Iterable[Step], groups: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """What Box's stand-in must know for these steps: its folders, files and groups."""
    folders: dict[str, dict[str, str]] = {}
    files: dict[str, dict[str, str]] = {}
    for step in steps:
        if step.source != "box" or step.kind == "root":
            continue
        *above, name = [part for part in step.item.split("/") if part]
        parent, path = "0", ""
        for folder in above:
            path = f"{path}/{folder}"
            folders[path] = {"id": _number("item", path), "name": folder, "parent": parent}
            parent = folders[path]["id"]
        items = files if step.kind == "file" else folders
        items[step.item] = {"id": _number("item", step.item), "name": name, "parent": parent}
    return {
        "folders": list(folders.values()),
        "files": list(files.values()),
        "groups": [
            {"id": _number("group", name), "name": name, "members": [_user(member) for member in members]}
            for name, members in groups.items()
        ],
    }


def _collaboration(step: Step, started: datetime) -> tuple[str, dict[str, Any]]:
    """The trigger and the collaboration as Box shows it; while it is pending Box shows neither item nor account."""
    grantee: dict[str, Any] = {"type": step.to, "id": _number("group", step.person), "name": step.person}
    if step.to == "person":
        grantee = {"type": "user", **_user(step.person), "is_active": not step.suspended}
    triggers = {
        "given": "COLLABORATION.CREATED" if step.pending else "COLLABORATION.ACCEPTED",
        "kept": "COLLABORATION.UPDATED",
        "lost": "COLLABORATION.REMOVED",
    }
    return triggers[step.change], {
        "type": "collaboration",
        "id": _number("collaboration", step.person.lower(), step.item),
        "created_by": {"type": "user", **_user(step.sharer)},
        "created_at": _shared_at(step, started),
        "modified_at": started.isoformat(timespec="seconds"),
        "expires_at": _expires_at(step, started),
        "status": "pending" if step.pending else "accepted",
        "accessible_by": None if step.pending else grantee,
        "invite_email": step.person if step.pending else None,
        "role": step.role,
        "item": None if step.pending else _item(step),
    }


def _link(step: Step) -> dict[str, Any]:
    return {**_item(step), "shared_link": {"access": "open", "effective_permission": "can_preview"}}


def _item(step: Step) -> dict[str, Any]:
    number = "0" if step.kind == "root" else _number("item", step.item)
    return {
        "type": "file" if step.kind == "file" else "folder",
        "id": number,
        "sequence_id": "0",
        "etag": "0",
        "name": step.item.rpartition("/")[2] or "All Files",
    }


def _user(address: str) -> dict[str, Any]:
    return {"id": _number("user", address.lower()), "name": address.partition("@")[0], "login": address}


def _document(step: Step, name: str, at: datetime, started: datetime) -> dict[str, Any]:
    """The share fact as docs/inbound-contract.md has it."""
    data: dict[str, Any] = {
        "principal": {"kind": "person", "address": step.person, "suspended": step.suspended},
        "role": step.role,
        "item": {"id": _number("item", step.item), "kind": step.kind, "path": step.item},
        "reference": _number("share", step.person.lower(), step.item),
        "sharer": {"address": step.sharer, "mayInvite": step.may_invite},
        "sharedAt": _shared_at(step, started),
        "expiresAt": _expires_at(step, started),
        "pending": step.pending,
        "crossOrganisation": step.links_only,
    }
    if step.damage == "breaks the contract":
        data["rolle"] = data.pop("role")
    return {
        "specversion": "1.0",
        "id": name,
        "source": _RELAY,
        "type": f"guestpass.share.{step.change}.v1",
        "time": at.isoformat(),
        "datacontenttype": "application/json",
        "data": data,
    }


def _shared_at(step: Step, started: datetime) -> str:
    return (started - timedelta(days=step.shared_days_ago)).isoformat(timespec="seconds")


def _expires_at(step: Step, started: datetime) -> str | None:
    days = step.expires_in_days
    return None if days is None else (started + timedelta(days=days)).isoformat(timespec="seconds")


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _number(*parts: str) -> str:
    return str(int(_digest(*parts)[:12], 16))


def _inbound_id(source: str, name: str) -> str:
    """The app keeps a CloudEvents document under a digest of what makes it unique: its source and id together."""
    return hashlib.sha256(f"{source}\x1f{name}".encode()).hexdigest()[:32]
