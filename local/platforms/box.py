"""A stand-in for the part of Box's API that says what is shared with whom, and that tells about changes.

`python -m local.platforms.box --port N`. Besides the control of every stand-in (see standin.py) what it knows comes
from `POST /control/seed`:

    {"folders": [{"id", "name", "parent"}], "files": [...], "web_links": [...],
     "collaborations": [<as Box shows them, and for pending ones "on": {"type", "id"}>], "gone": [<their ids>],
     "groups": [{"id", "name", "members": [{"id", "name", "login"}]}], "events": [<as Box shows them>]}

`parent` is a folder's id, "0" for the root. Items may have "shared_link": {"access", ...}, "is_externally_owned",
"owner", "hidden" (from the service account), "trashed", "hides_collaborators". `"expire_tokens": true` ends every
token, `"forget_events"` all events so far, `"forget_webhooks"` every webhook; `"folders_list_inherited"` lets folders
list what they inherit, as files do.
"""

import argparse
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from local.platforms import box_webhooks
from local.platforms.box_account import FIRST_POSITION, ROOT, Account, Json, Key, user
from local.platforms.standin import Act, StandIn, repeats, run
from local.platforms.standin import serve as serve

_OFFSET_MAX = 10_000
_HELP = "http://developers.box.com/docs/#errors"
_MINI = ("type", "id", "sequence_id", "etag", "name")
_FIELDS = {*_MINI, "path_collection", "shared_link", "item_status", "is_externally_owned", "has_collaborations"}
_MOST_WEBHOOKS = 1000
# Box's "Webhook triggers": of these only the second may stand on a file.
_TRIGGERS = {
    "folder": {
        *(f"COLLABORATION.{what}" for what in ("CREATED", "ACCEPTED", "REJECTED", "REMOVED", "UPDATED")),
        *(f"SHARED_LINK.{what}" for what in ("CREATED", "UPDATED", "DELETED")),
        "WEBHOOK.DELETED",
    },
    "file": {f"SHARED_LINK.{what}" for what in ("CREATED", "UPDATED", "DELETED")} | {"WEBHOOK.DELETED"},
}


class Box(StandIn):
    """One enterprise, with one app in it."""

    def __init__(self, credentials: Mapping[str, str], keys: tuple[str, str] = ("", "")) -> None:
        """`credentials`: client_id, client_secret, enterprise_id. `keys`: what webhooks are signed with."""
        super().__init__()
        self._credentials = {
            "client_id": credentials["client_id"],
            "client_secret": credentials["client_secret"],
            "box_subject_type": "enterprise",
            "box_subject_id": credentials["enterprise_id"],
        }
        self._keys = keys
        self._account = Account()
        self._tokens: set[str] = set()
        self._markers: dict[str, tuple[str, Any]] = {}

    def routes(self) -> Sequence[web.RouteDef]:
        """The calls, and the seed."""
        return [
            web.post("/oauth2/token", self._token),
            web.get("/2.0/collaborations/{id}", self._collaboration),
            web.get("/2.0/{kind:folders|files|web_links}/{id}", self._item),
            web.get("/2.0/folders/{id}/items", self._items),
            web.get("/2.0/{kind:folders|files}/{id}/collaborations", self._collaborations),
            web.get("/2.0/groups/{id}/memberships", self._memberships),
            web.get("/2.0/events", self._events),
            web.get("/2.0/webhooks", self._webhooks),
            web.post("/2.0/webhooks", self._make_webhook),
            web.get("/2.0/webhooks/{id}", self._webhook),
            web.put("/2.0/webhooks/{id}", self._change_webhook),
            web.delete("/2.0/webhooks/{id}", self._delete_webhook),
            web.post("/control/seed", self._seed),
        ]

    # --- the door

    def refuse(self, request: web.Request) -> web.Response | None:
        """Only bearers of our tokens come in."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if request.path == "/oauth2/token" or (scheme == "Bearer" and token in self._tokens):
            return None
        return web.Response(status=401, headers={"WWW-Authenticate": 'Bearer realm="Service", error="invalid_token"'})

    def error(
        self,
        status: int,
        code: str,
        message: str,
        headers: Mapping[str, str] | None = None,
        *,
        name: str | None = None,
    ) -> web.Response:
        """Return an error as Box's API reference describes it ("Client error"); `name`: the parameter at fault."""
        reasons = [{"reason": "invalid_parameter", "name": name, "message": f"Invalid value. '{name}'"}]
        body = {
            "type": "error",
            "status": status,
            "code": code,
            "context_info": {"errors": reasons} if name else None,
            "help_url": _HELP,
            "message": message,
            "request_id": secrets.token_hex(8),
        }
        return web.json_response(body, status=status, headers=headers)

    def _not_found(self, name: str) -> web.Response:
        return self.error(404, "not_found", "Not Found", name=name)

    def _bad(self, name: str) -> web.Response:
        return self.error(400, "bad_request", "Bad Request", name=name)

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form.get("grant_type") != "client_credentials":
            return _oauth_error("unsupported_grant_type", "The grant type is unrecognized or unsupported")
        for name in ("client_id", "client_secret"):
            if form.get(name) != self._credentials[name]:
                return _oauth_error("invalid_client", "The client credentials are invalid")
        if any(form.get(name) != value for name, value in self._credentials.items()):
            return _oauth_error("invalid_grant", "Grant credentials are invalid")
        token = secrets.token_urlsafe(24)
        self._tokens.add(token)
        return web.json_response(
            {"access_token": token, "expires_in": 3600, "restricted_to": [], "token_type": "bearer"}
        )

    # --- items and collaborations

    async def _item(self, request: web.Request) -> web.Response:
        key = _key(request)
        if self._account.find(key) is None:
            return self._not_found(key[0])
        if self._account.is_trashed(key):
            return self.error(404, "trashed", "Item is trashed")
        if _fields(request) is None:
            return self._bad("fields")
        return web.json_response(_chosen(self._account.whole(key), request))

    async def _items(self, request: web.Request) -> web.Response:
        key = ("folder", request.match_info["id"])
        if self._account.find(key) is None or self._account.is_trashed(key):
            return self._not_found("folder")
        if (
            request.query.get("usemarker", "").lower() != "true" or "offset" in request.query
        ):  # the other way is not played here
            return self._bad("usemarker")
        page = self._page(request, self._account.children(key[1]), {"fields", "usemarker"})
        if page is None or _fields(request) is None:
            return self._bad("marker" if page is None else "fields")
        chosen = [_chosen(self._account.whole(one), request) for one in page["entries"]]
        return web.json_response({**page, "entries": chosen, "next_marker": page["next_marker"] or ""})

    async def _collaborations(self, request: web.Request) -> web.Response:
        key = _key(request)
        item = self._account.find(key)
        if item is None or self._account.is_trashed(key):
            return self._not_found(key[0])
        if item.get("hides_collaborators"):
            return self.error(403, "access_denied_insufficient_permissions", "Access denied")
        page = self._page(request, self._account.listed_on(key), set())
        return self._bad("marker") if page is None else web.json_response(page)

    async def _collaboration(self, request: web.Request) -> web.Response:
        found = self._account.collaborations.get(request.match_info["id"])
        if found is None or self._account.find(self._account.places[found["id"]]) is None:
            return self._not_found("collaboration")
        return web.json_response(found)

    async def _memberships(self, request: web.Request) -> web.Response:
        group = self._account.groups.get(request.match_info["id"])
        if group is None:
            return self._not_found("group")
        limit, offset = _number(request, "limit", 100), _number(request, "offset", 0)
        if limit is None or offset is None or limit < 1 or offset > _OFFSET_MAX:
            return self._bad("offset")
        limit = min(limit, 1000)
        members = group["members"]
        mini = {"type": "group", "id": group["id"], "name": group["name"], "group_type": "managed_group"}
        entries = [
            {
                "type": "group_membership",
                "id": f"{group['id']}{member['id']}",
                "user": {"type": "user", **member},
                "group": mini,
                "role": "member",
            }
            for member in members[offset : offset + limit]
        ]
        page = {"total_count": len(members), "entries": entries, "limit": limit, "offset": offset}
        return web.json_response(page)

    def _page(self, request: web.Request, found: Sequence[Any], parameters: set[str]) -> Json | None:
        """Return a part of a list; None for a parameter that Box does not know or a marker that it did not give."""
        limit = _number(request, "limit", 100)
        if limit is None or not 1 <= limit <= 1000 or not set(request.query) <= {"limit", "marker", *parameters}:
            return None
        begin, marker = 0, request.query.get("marker")
        if marker is not None:
            path, begin = self._markers.get(marker, ("", 0))
            if path != request.path:
                return None
        following = None
        if begin + limit < len(found):
            following = secrets.token_urlsafe(90)
            self._markers[following] = (request.path, begin + limit)
        return {"limit": limit, "entries": list(found[begin : begin + limit]), "next_marker": following}

    # --- the log

    async def _events(self, request: web.Request) -> web.Response:
        query = request.query
        limit, position = _number(request, "limit", 100), query.get("stream_position", "")
        if query.get("stream_type") != "admin_logs_streaming":  # the others are not played here
            return self._bad("stream_type")
        if limit is None or not 1 <= limit <= 500:
            return self._bad("limit")
        known = position == "now" or (position.isdecimal() and int(position) >= FIRST_POSITION)
        if not known:
            return self._bad("stream_position")
        types = set(query["event_type"].split(",")) if "event_type" in query else None
        following, entries = self._account.events(position, limit, types)
        return web.json_response({"chunk_size": len(entries), "next_stream_position": following, "entries": entries})

    # --- webhooks

    async def _webhooks(self, request: web.Request) -> web.Response:
        minis = [_webhook_mini(hook) for hook in self._account.webhooks.values()]
        page = self._page(request, minis, set())
        return self._bad("marker") if page is None else web.json_response(page)

    async def _webhook(self, request: web.Request) -> web.Response:
        hook = self._account.webhooks.get(request.match_info["id"])
        return self._not_found("webhook") if hook is None else web.json_response(hook)

    async def _make_webhook(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        target, hooks = wanted["target"], self._account.webhooks
        key: Key = (target["type"], target["id"])
        if self._account.find(key) is None:
            return self._not_found("target")
        fault = self._webhook_fault(key[0], wanted)
        if fault or key == ROOT or len(hooks) >= _MOST_WEBHOOKS:
            return self._bad(fault or "target")
        if any(hook["target"] == target for hook in hooks.values()):
            return self.error(409, "conflict", "A resource with this value already exists", name="existing_webhook")
        made = {
            "id": str(5_000_000 + len(hooks) + 1),
            "type": "webhook",
            "target": target,
            "created_by": dict(box_webhooks.SERVICE_USER),
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "address": wanted["address"],
            "triggers": wanted["triggers"],
        }
        hooks[made["id"]] = made
        return web.json_response(made, status=201)

    async def _change_webhook(self, request: web.Request) -> web.Response:
        hook = self._account.webhooks.get(request.match_info["id"])
        if hook is None:
            return self._not_found("webhook")
        changed = {**hook, **await request.json()}
        fault = self._webhook_fault(hook["target"]["type"], changed)
        if fault:
            return self._bad(fault)
        hook.update(changed)
        return web.json_response(hook)

    async def _delete_webhook(self, request: web.Request) -> web.Response:
        if self._account.webhooks.pop(request.match_info["id"], None) is None:
            return self._not_found("webhook")
        return web.Response(status=204)

    def _webhook_fault(self, kind: str, wanted: Mapping[str, Any]) -> str | None:
        address = urlsplit(wanted["address"])
        is_local = address.hostname == "127.0.0.1"  # the local world has no certificates
        if not is_local and (address.scheme != "https" or address.port not in (None, 443)):
            return "address"
        return None if wanted["triggers"] and set(wanted["triggers"]) <= _TRIGGERS[kind] else "triggers"

    # --- the people

    async def carry_out(self, act: Act) -> None:
        """Let somebody share, change or take back: the log has it, and webhooks tell it as often as `notify` says.

        Sharing again what is pending is its acceptance. The person "anyone" is a link, a group's name a group.
        """
        key = ROOT if act.kind == "root" else self._account.make(act.path, act.kind)
        at = datetime.now(UTC)
        if act.person == "anyone":
            trigger, source, by = self._link(act, key, at)
        else:
            trigger, source, by = self._collaborate(act, key, at)
        for hook in self._account.watching(key, trigger):
            event_id = secrets.token_hex(16)
            for _ in repeats(act.notify):
                headers, body = box_webhooks.delivery(
                    trigger, source, *self._keys, at, event_id=event_id, created_by=by, webhook_id=hook["id"]
                )
                self.deliver(hook["address"], headers, body)

    def _collaborate(self, act: Act, key: Key, at: datetime) -> tuple[str, Json, Json]:
        account, held = self._account, self._account.held(key, act.person)
        by = user(act.sharer) if act.sharer else dict(box_webhooks.SERVICE_USER)
        if act.act == "share" and held is None:
            held = account.invite(act, key, at)
            account.tell_collaboration("COLLABORATION_INVITE", held, by, at)
            return f"COLLABORATION.{'CREATED' if act.pending else 'ACCEPTED'}", dict(held), by
        if held is None or (act.act == "share" and (act.pending or held["status"] == "accepted")):
            raise web.HTTPBadRequest(text="There is no such collaboration, or there is one already.")
        if act.act == "share":
            account.accept(held, act.person, at)
            by = user(act.person)
            account.tell_collaboration("COLLABORATION_ACCEPT", held, by, at)
            return "COLLABORATION.ACCEPTED", dict(held), by
        if act.act == "role":
            held["role"] = act.role
            account.tell_collaboration("COLLABORATION_ROLE_CHANGE", held, by, at)
            return "COLLABORATION.UPDATED", dict(held), by
        account.tell_collaboration("COLLABORATION_REMOVE", held, by, at)
        del account.collaborations[held["id"]]
        return "COLLABORATION.REMOVED", dict(held), by

    def _link(self, act: Act, key: Key, at: datetime) -> tuple[str, Json, Json]:
        item = self._account.items[key]
        triggers = {"share": "CREATED", "role": "UPDATED", "remove": "DELETED"}
        events = {"share": "SHARE", "role": "ITEM_SHARED_UPDATE", "remove": "UNSHARE"}
        item["shared_link"] = None if act.act == "remove" else {"access": act.role or "open"}
        by = user(act.sharer) if act.sharer else dict(box_webhooks.SERVICE_USER)
        self._account.tell_link(events[act.act], key, by, at)
        return f"SHARED_LINK.{triggers[act.act]}", self._account.whole(key), by

    async def _seed(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        self._account.seed(wanted)
        if wanted.get("expire_tokens"):
            self._tokens.clear()
        return web.Response(status=204)


def _key(request: web.Request) -> Key:
    return request.match_info["kind"].removesuffix("s"), request.match_info["id"]


def _number(request: web.Request, name: str, default: int) -> int | None:
    value = request.query.get(name, str(default))
    return int(value) if value.isdecimal() else None


def _fields(request: web.Request) -> set[str] | None:
    """Return the fields that are asked for; None when one does not exist."""
    wanted = set(request.query["fields"].split(",")) if "fields" in request.query else set(_FIELDS)
    return wanted if wanted <= _FIELDS else None


def _chosen(whole: Json, request: web.Request) -> Json:
    """Return all of it, or with `fields` the base representation and what was asked for, as Box does."""
    names = {"type", "id", "etag"} | (_fields(request) or set())
    return {name: value for name, value in whole.items() if name in names}


def _webhook_mini(hook: Mapping[str, Any]) -> Json:
    return {name: hook[name] for name in ("id", "type", "target")}


def _oauth_error(error: str, description: str) -> web.Response:
    return web.json_response({"error": error, "error_description": description}, status=400)


def create_app(
    client_id: str, client_secret: str, enterprise_id: str, keys: tuple[str, str] = ("", "")
) -> web.Application:
    """Return the stand-in, empty but for the root folder."""
    names = {"client_id": client_id, "client_secret": client_secret, "enterprise_id": enterprise_id}
    return Box(names, keys).app()


def _make(options: argparse.Namespace) -> Box:
    return Box(vars(options), (options.primary_key, options.secondary_key))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(prog="python -m local.platforms.box", description="A stand-in for Box's API.")
    arguments.add_argument("--client-id", default="local-box-client")
    arguments.add_argument("--client-secret", default="local-box-secret")
    arguments.add_argument("--enterprise-id", default="4711")
    arguments.add_argument("--primary-key", default="local-box-primary-key")
    arguments.add_argument("--secondary-key", default="local-box-secondary-key")
    run("Box", arguments, _make)
