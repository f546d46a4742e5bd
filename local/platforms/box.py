"""A stand-in for the part of Box's API that says who a collaboration is for and where an item lies.

`python -m local.platforms.box --port N`. What it knows comes from `POST /control/seed`:

    {"folders": [{"id", "name", "parent"}], "files": [...], "collaborations": [<as Box shows them>],
     "groups": [{"id", "name", "members": [{"id", "name", "login"}]}]}

`parent` is a folder's id, "0" for the root. `"expire_tokens": true` ends every token. `POST /control/faults` takes a
list of {"path": <prefix>, "status", "retry_after", "body", "times"}, used up by the next requests that match; status 0
breaks the connection. `GET /control/requests` lists the API requests that came.
"""

import argparse
import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

from aiohttp import web

_PAGE_DEFAULT, _PAGE_MAX, _OFFSET_MAX = 100, 1000, 10_000
_HELP = "http://developers.box.com/docs/#errors"


class _Box:
    def __init__(self, client_id: str, client_secret: str, enterprise_id: str) -> None:
        self.credentials = {
            "client_id": client_id,
            "client_secret": client_secret,
            "box_subject_type": "enterprise",
            "box_subject_id": enterprise_id,
        }
        self.tokens: set[str] = set()
        self.folders: dict[str, dict[str, Any]] = {"0": {"id": "0", "name": "All Files", "parent": None}}
        self.files: dict[str, dict[str, Any]] = {}
        self.collaborations: dict[str, dict[str, Any]] = {}
        self.groups: dict[str, dict[str, Any]] = {}
        self.faults: list[dict[str, Any]] = []
        self.requests: list[str] = []

    # --- what Box offers

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form.get("grant_type") != "client_credentials":
            return _oauth_error("unsupported_grant_type", "The grant type is unrecognized or unsupported")
        for name in ("client_id", "client_secret"):
            if form.get(name) != self.credentials[name]:
                return _oauth_error("invalid_client", "The client credentials are invalid")
        if any(form.get(name) != value for name, value in self.credentials.items()):
            return _oauth_error("invalid_grant", "Grant credentials are invalid")
        token = secrets.token_urlsafe(24)
        self.tokens.add(token)
        return web.json_response(
            {"access_token": token, "expires_in": 3600, "restricted_to": [], "token_type": "bearer"}
        )

    async def collaboration(self, request: web.Request) -> web.Response:
        found = self.collaborations.get(request.match_info["id"])
        return _not_found("collaboration") if found is None else _show(found, request, ("type", "id"))

    async def folder(self, request: web.Request) -> web.Response:
        return self._item(self.folders, "folder", request)

    async def file(self, request: web.Request) -> web.Response:
        return self._item(self.files, "file", request)

    async def memberships(self, request: web.Request) -> web.Response:
        group = self.groups.get(request.match_info["id"])
        if group is None:
            return _not_found("group")
        try:
            limit = min(int(request.query.get("limit", _PAGE_DEFAULT)), _PAGE_MAX)
            offset = int(request.query.get("offset", 0))
        except ValueError:
            return _error(400, "bad_request", "Bad Request")
        if limit < 1 or not 0 <= offset <= _OFFSET_MAX:
            return _error(400, "bad_request", "Bad Request")
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

    def _item(self, items: Mapping[str, dict[str, Any]], kind: str, request: web.Request) -> web.Response:
        item = items.get(request.match_info["id"])
        if item is None:
            return _not_found(kind)
        above: list[dict[str, Any]] = []
        parent = item["parent"]
        while parent is not None:
            above.insert(0, self._mini(self.folders[parent], "folder"))
            parent = self.folders[parent]["parent"]
        whole = {**self._mini(item, kind), "path_collection": {"total_count": len(above), "entries": above}}
        return _show(whole, request, ("type", "id", "sequence_id", "etag", "name"))

    @staticmethod
    def _mini(item: Mapping[str, Any], kind: str) -> dict[str, Any]:
        version = None if item["id"] == "0" else "0"
        return {"type": kind, "id": item["id"], "sequence_id": version, "etag": version, "name": item["name"]}

    # --- the door

    @web.middleware
    async def guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path.startswith("/control/"):
            answer: web.StreamResponse = await handler(request)
            return answer
        self.requests.append(
            f"{request.method} {request.path}" + (f"?{query}" if (query := request.query_string) else "")
        )
        fault = next((fault for fault in self.faults if request.path.startswith(fault["path"])), None)
        if fault is not None:
            return self._fail(fault, request)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if request.path != "/oauth2/token" and (scheme != "Bearer" or token not in self.tokens):
            challenge = 'Bearer realm="Service", error="invalid_token"'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        try:
            answer = await handler(request)
        except web.HTTPException as error:
            return _error(error.status, "not_found" if error.status == 404 else "method_not_allowed", error.reason)
        return answer

    def _fail(self, fault: dict[str, Any], request: web.Request) -> web.Response:
        fault["times"] = fault.get("times", 1) - 1
        if fault["times"] <= 0:
            self.faults.remove(fault)
        if fault["status"] == 0:
            assert request.transport is not None
            request.transport.close()
        headers = {"Retry-After": str(fault["retry_after"])} if "retry_after" in fault else {}
        if "body" in fault:
            return web.Response(status=fault["status"] or 500, headers=headers, text=fault["body"])
        return _error(fault["status"] or 500, fault.get("code", "unavailable"), "Unavailable", headers)

    # --- the control

    async def seed(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        for name in ("folders", "files", "collaborations", "groups"):
            getattr(self, name).update({one["id"]: one for one in wanted.get(name, [])})
        if wanted.get("expire_tokens"):
            self.tokens.clear()
        return web.Response(status=204)

    async def break_things(self, request: web.Request) -> web.Response:
        self.faults += await request.json()
        return web.Response(status=204)

    async def came(self, _: web.Request) -> web.Response:
        return web.json_response(self.requests)


def _show(whole: Mapping[str, Any], request: web.Request, mini: tuple[str, ...]) -> web.Response:
    """Show all of it, or with `fields` the mini representation and what was asked for, as Box does."""
    fields = request.query.get("fields")
    wanted = {*mini, *fields.split(",")} if fields else set(whole)
    return web.json_response({name: value for name, value in whole.items() if name in wanted})


def _oauth_error(error: str, description: str) -> web.Response:
    return web.json_response({"error": error, "error_description": description}, status=400)


def _not_found(kind: str) -> web.Response:
    return _error(404, "not_found", "Not Found", kind=kind)


def _error(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None, kind: str | None = None
) -> web.Response:
    """Return an error as Box's API reference describes it ("Client error")."""
    reasons = [{"reason": "invalid_parameter", "name": kind, "message": f"Invalid value. '{kind}' not found"}]
    body = {
        "type": "error",
        "status": status,
        "code": code,
        "context_info": {"errors": reasons} if kind else None,
        "help_url": _HELP,
        "message": message,
        "request_id": secrets.token_hex(8),
    }
    return web.json_response(body, status=status, headers=headers)


def create_app(client_id: str, client_secret: str, enterprise_id: str) -> web.Application:
    """Return the stand-in, empty but for the root folder."""
    box = _Box(client_id, client_secret, enterprise_id)
    app = web.Application(middlewares=[box.guard])
    app.add_routes(
        [
            web.post("/oauth2/token", box.token),
            web.get("/2.0/collaborations/{id}", box.collaboration),
            web.get("/2.0/folders/{id}", box.folder),
            web.get("/2.0/files/{id}", box.file),
            web.get("/2.0/groups/{id}/memberships", box.memberships),
            web.post("/control/seed", box.seed),
            web.post("/control/faults", box.break_things),
            web.get("/control/requests", box.came),
        ]
    )
    return app


async def serve(app: web.Application, port: int) -> tuple[web.AppRunner, int]:
    """Start on localhost; with port 0 on a free one. Returns the runner, to be cleaned up, and the port."""
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner, runner.addresses[0][1]


async def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.platforms.box", description="A stand-in for Box's API.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--client-id", default="local-box-client")
    parser.add_argument("--client-secret", default="local-box-secret")
    parser.add_argument("--enterprise-id", default="4711")
    options = parser.parse_args()
    app = create_app(options.client_id, options.client_secret, options.enterprise_id)
    runner, port = await serve(app, options.port)
    print(f"Box's stand-in listens on http://127.0.0.1:{port}", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(_main())
