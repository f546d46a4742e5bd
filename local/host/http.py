"""HTTP triggers: routes, and the conversion between aiohttp and the worker's messages."""

import email.utils
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from aiohttp import web
from multidict import MultiMapping

from local.host.errors import HostError
from local.host.protos import RpcHttp, RpcHttpCookie, TraceContext, TypedData
from local.host.worker import Function, Worker, new_trace

BODY_LIMIT = 100 * 1024 * 1024  # bytes; the request limit of Azure Functions

_PARAMETER = re.compile(r"\{(\w+)(\??)\}")
_TRACE_PARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_SAME_SITE = {
    RpcHttpCookie.SameSite.Lax: "Lax",
    RpcHttpCookie.SameSite.Strict: "Strict",
    RpcHttpCookie.SameSite.ExplicitNone: "None",
}


@dataclass(frozen=True, slots=True)
class Route:
    """A route template such as hooks/{platform}/{connection?} of an HTTP function."""

    function: Function
    segments: tuple[str, ...]
    methods: frozenset[str]

    @classmethod
    def of(cls, function: Function, prefix: str) -> "Route":
        """Raises HostError for a template with more than literals, {name} and, at the end, {name?}."""
        trigger = function.trigger
        template = f"{prefix}/{trigger.get('route') or function.name}"
        segments = tuple(segment for segment in template.split("/") if segment)
        for position, segment in enumerate(segments):
            parameter = _PARAMETER.fullmatch(segment)
            inner_optional = parameter and parameter[2] and position < len(segments) - 1
            if inner_optional or (not parameter and ("{" in segment or "*" in segment)):
                raise HostError(f"function {function.name}: the local host has no route segment '{segment}'")
        return cls(function, segments, frozenset(method.upper() for method in trigger.get("methods") or ()))

    @property
    def precedence(self) -> tuple[bool, ...]:
        """Literals come before parameters, from the left."""
        return tuple(_PARAMETER.fullmatch(segment) is not None for segment in self.segments)

    def match(self, method: str, path: list[str]) -> dict[str, str] | None:
        """The route parameters of a path, or None when the route is not for this request."""
        if self.methods and method not in self.methods:
            return None
        least = len(self.segments) - (bool(self.segments) and self.segments[-1].endswith("?}"))
        if not least <= len(path) <= len(self.segments):
            return None
        parameters: dict[str, str] = {}
        for segment, actual in zip(self.segments, path, strict=False):
            if parameter := _PARAMETER.fullmatch(segment):
                parameters[parameter[1]] = actual
            elif segment.casefold() != actual.casefold():
                return None
        return parameters


class HttpTriggers:
    """Answers requests with the app's HTTP functions. Keys (authLevel) are not asked for, as with Core Tools."""

    def __init__(self, worker: Worker, functions: Iterable[Function], prefix: str) -> None:
        self._worker = worker
        self._routes = sorted(
            (Route.of(function, prefix) for function in functions), key=lambda route: route.precedence
        )

    async def answer(self, request: web.Request) -> web.Response:
        """404 without a route; so too for a known path with another method (azure-functions-host issue 10098)."""
        path = [unquote(segment) for segment in request.rel_url.raw_path.split("/") if segment]
        for route in self._routes:
            parameters = route.match(request.method, path)
            if parameters is not None:
                message = await _to_message(request, parameters)
                outcome = await self._worker.invoke(
                    route.function, TypedData(http=message), trace=_trace(request.headers)
                )
                return web.Response(status=500) if outcome.error is not None else _to_response(outcome.value)
        return web.Response(status=404)


async def _to_message(request: web.Request, parameters: Mapping[str, str]) -> RpcHttp:
    body = await request.read()
    return RpcHttp(
        method=request.method,
        url=str(request.url),
        headers={name.lower(): value for name, value in _joined(request.headers).items()},
        # The real host leaves out query values that are empty (GrpcMessageConversionExtensions.ToRpcHttp).
        query={name: value for name, value in _joined(request.query).items() if value},
        params=parameters,
        body=TypedData(bytes=body) if body else TypedData(),
    )


def _joined(values: MultiMapping[str]) -> dict[str, str]:
    return {name: ",".join(values.getall(name)) for name in values}


def _trace(headers: Mapping[str, str]) -> TraceContext:
    parent = headers.get("traceparent", "")
    if _TRACE_PARENT.fullmatch(parent):
        return TraceContext(trace_parent=parent, trace_state=headers.get("tracestate", ""))
    return new_trace()


def _to_response(value: TypedData | None) -> web.Response:
    if value is None or value.http is None:
        return web.Response(text=value.string if value and value.string is not None else "")
    http = value.http
    response = web.Response(status=int(http.status_code), body=http.body.bytes)
    for name, text in http.headers.items():
        if name.lower() not in ("content-length", "transfer-encoding"):
            response.headers[name] = text
    for cookie in http.cookies or ():
        response.set_cookie(
            cookie.name,
            cookie.value,
            domain=cookie.domain.value if cookie.domain and cookie.domain.value else None,
            path=cookie.path.value if cookie.path and cookie.path.value else "/",
            expires=email.utils.formatdate(cookie.expires.value.seconds, usegmt=True) if cookie.expires else None,
            max_age=int(cookie.max_age.value) if cookie.max_age else None,
            secure=cookie.secure.value if cookie.secure else None,
            httponly=cookie.http_only.value if cookie.http_only else None,
            samesite=_SAME_SITE.get(cookie.same_site),
        )
    return response
