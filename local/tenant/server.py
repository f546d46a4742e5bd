"""The tenant as an HTTP service: tokens, Graph under /v1.0, a record of every exchange, and injected faults."""

import copy
import json
import re
import secrets
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from aiohttp import web
from pydantic import Field

from local.tenant.calls import Answer, Call
from local.tenant.errors import (
    GraphError,
    item_not_found,
    locked,
    no_resolved_users,
    sharing_disabled,
    throttled,
    unauthorized,
    user_not_found,
)
from local.tenant.graph import Graph
from local.tenant.login import Registration
from local.tenant.notifier import Notifier
from local.tenant.state import Clock, Wire, World, iso
from local.tenant.subscriptions import COLLECTION, prove
from local.tenant.throttle import Throttle

AUDIENCE = "https://graph.microsoft.com"
TOKEN_SECONDS = 86_400
KEPT_EXCHANGES = 20_000

FaultKind = Literal[
    "429",
    "503",
    "500",
    "504-after-effect",
    "200-without-effect",
    "404",
    "noResolvedUsers",
    "sharingDisabled",
    "423",
    "html",
    "truncated",
]


class Match(Wire):
    """Which calls a fault hits: the method (any if absent) and a regular expression searched in the decoded path."""

    method: str | None = None
    path_regex: re.Pattern[str] = re.compile("")


class Fault(Wire):
    """A fault for the next `times` matching calls; `retryAfter` is in seconds, for 429 and 503."""

    match: Match = Match()
    times: int = Field(default=1, ge=1)
    kind: FaultKind
    retry_after: float | None = None


@dataclass
class Tenant:
    """The service's whole state. Tokens live by the real clock, as their holders do."""

    identity_secret: str
    registration: Registration = field(default_factory=Registration)
    notifier: Notifier = field(default_factory=Notifier)
    clock: Clock = field(default_factory=Clock)
    world: World = field(default_factory=World)
    faults: list[tuple[Fault, int]] = field(default_factory=list)
    exchanges: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT_EXCHANGES))
    exchange_count: int = 0
    tokens: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.throttle = Throttle(self.clock, self.world.settings)

    def reset(self) -> None:
        """Begin an empty tenant with default settings; tokens and recorded exchanges stay."""
        self.clock.offset = 0.0
        self.world = World()
        self.faults.clear()
        self.throttle = Throttle(self.clock, self.world.settings)

    def configure(self, changes: dict[str, Any]) -> None:
        """Change settings; raises pydantic's ValidationError."""
        self.world.settings = self.world.settings.patched(changes)
        self.throttle.apply(self.world.settings)

    def take_fault(self, call: Call) -> Fault | None:
        """The first queued fault that matches a call, used up by one."""
        for position, (fault, left) in enumerate(self.faults):
            method = fault.match.method
            if (method is None or method.upper() == call.method) and fault.match.path_regex.search(call.path):
                if left == 1:
                    del self.faults[position]
                else:
                    self.faults[position] = (fault, left - 1)
                return fault
        return None

    def answer(self, call: Call, fault: Fault | None) -> Answer:
        """Carry out a call, with or without a fault."""
        graph = Graph(self.world, self.clock, self.throttle)
        if fault is None:
            return graph.answer(call)
        match fault.kind:
            case "504-after-effect":
                graph.answer(call)
                raise GraphError(504, "UnknownError", "The gateway did not receive an answer in time.")
            case "200-without-effect":
                return Graph(copy.deepcopy(self.world), self.clock, self.throttle).answer(call)
            case "truncated":
                return graph.answer(call)
            case "html":
                return Answer(502)
            case _:
                raise _injected(fault, call)


def _injected(fault: Fault, call: Call) -> GraphError:
    match fault.kind:
        case "429":
            return throttled(fault.retry_after or 10, sharepoint=call.sharepoint)
        case "503":
            return GraphError(
                503, "serviceNotAvailable", "The service is not available.", retry_after=fault.retry_after
            )
        case "404":
            return item_not_found() if call.sharepoint else user_not_found(call.path.rpartition("/")[2])
        case "noResolvedUsers":
            return no_resolved_users()
        case "sharingDisabled":
            return sharing_disabled()
        case "423":
            return locked()
        case _:
            code = "generalException" if call.sharepoint else "InternalServerError"
            return GraphError(500, code, "General exception while processing")


TENANT = web.AppKey("tenant", Tenant)


async def issue_token(request: web.Request) -> web.Response:
    """App Service's managed identity endpoint, 2019-08-01: an opaque token for one resource."""
    tenant = request.app[TENANT]
    if not secrets.compare_digest(request.headers.get("X-IDENTITY-HEADER", ""), tenant.identity_secret):
        return web.json_response({"statusCode": 401, "message": "The identity header is missing or wrong."}, status=401)
    if request.query.get("api-version") != "2019-08-01" or not request.query.get("resource"):
        return web.json_response({"statusCode": 400, "message": "api-version and resource are required."}, status=400)
    resource, token, expires = request.query["resource"], secrets.token_urlsafe(48), int(time.time()) + TOKEN_SECONDS
    if resource.rstrip("/") == AUDIENCE:
        tenant.tokens[token] = expires
    return web.json_response(
        {
            "access_token": token,
            "client_id": request.query.get("client_id", "00000000-0000-0000-0000-000000000000"),
            "expires_on": str(expires),
            "resource": resource,
            "token_type": "Bearer",
        }
    )


async def sign_in(request: web.Request) -> web.Response:
    """Microsoft Entra's token endpoint for the registered app."""
    tenant, form = request.app[TENANT], {name: str(value) for name, value in (await request.post()).items()}
    response, token = tenant.registration.token(request.match_info["tenant"], form, AUDIENCE)
    if token is not None:
        tenant.tokens[token] = tenant.registration.expires()
    return response


async def speak_graph(request: web.Request) -> web.StreamResponse:
    """Answer one Graph call and record the exchange."""
    tenant = request.app[TENANT]
    split = urlsplit(request.raw_path)
    path = re.sub("/+", "/", unquote(split.path)).removeprefix("/v1.0") or "/"
    raw = await request.read()
    call = Call(
        method=request.method,
        path=path.rstrip("/") or "/",
        query=dict(request.query),
        headers=request.headers,
        body=raw,
        origin=f"{request.scheme}://{request.host}",
    )
    request_id = str(uuid.uuid4())
    client_request_id = request.headers.get("client-request-id", request_id)
    fault = None
    try:
        _check_token(tenant, request)
        fault = tenant.take_fault(call)
        if fault is None and (call.method, call.path) == ("POST", COLLECTION):
            await prove(call)
        answer = tenant.answer(call, fault)
        tenant.notifier.tell(tenant.world, tenant.registration.tenant_id)
    except GraphError as error:
        body = error.body(iso(tenant.clock.now()), request_id, client_request_id)
        answer = Answer(error.status, body, error.headers())
    headers = {"request-id": request_id, "client-request-id": client_request_id, **answer.headers}
    if call.sharepoint:
        headers |= tenant.throttle.sharepoint_headers()
    text = "" if answer.body is None else json.dumps(answer.body)
    kind = "application/json"
    if fault and fault.kind == "html":
        text, kind = "<html><body><h1>502 Bad Gateway</h1></body></html>", "text/html"
    if fault and fault.kind == "truncated":
        text = text[: len(text) // 2]
    tenant.exchange_count += 1
    tenant.exchanges.append(
        {
            "n": tenant.exchange_count,
            "method": call.method,
            "path": split.path,
            "query": split.query,
            "requestHeaders": {name: value for name, value in request.headers.items() if name != "Authorization"},
            "requestBody": _read_json(raw.decode(errors="replace")),
            "status": answer.status,
            "responseHeaders": headers,
            "responseBody": _read_json(text),
            "fault": fault and fault.kind,
        }
    )
    if answer.status == 204:
        return web.Response(status=204, headers=headers)
    return web.Response(status=answer.status, text=text, content_type=kind, headers=headers)


def _check_token(tenant: Tenant, request: web.Request) -> None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise unauthorized("Access token is empty.")
    if tenant.tokens.get(token, 0) <= time.time():
        raise unauthorized("Access token has expired or is not yet valid.")


def _read_json(text: str) -> Any:
    """JSON as a value, anything else as text, nothing as None."""
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text
