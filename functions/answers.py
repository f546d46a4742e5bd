"""What every administrator's route does around its work: who may ask, from where, and how the answer goes out."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

import azure.functions as func
from pydantic import BaseModel, TypeAdapter, ValidationError

from functions.principal import Caller, ForbiddenError, caller
from shared.domain.guests import Guest, IllegalMoveError
from shared.domain.trouble import ConflictError, LaterError
from shared.settings import SettingsError
from shared.wiring import get_ports, get_settings
from shared.workflows.approvals import StaleError
from shared.workflows.bulk import name_of
from shared.workflows.ports import Ports
from shared.workflows.review import view_of

log = logging.getLogger("guestpass.console")

BODY_LIMIT = 1024 * 1024
_JSON = "application/json"

# Nothing inline, nothing from elsewhere, in no frame: a name from outside that got through the escaping does nothing.
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "Vary": "Accept, HX-Request",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

type Work = Callable[[Ports, Caller], Awaitable[func.HttpResponse]]


class BadRequestError(Exception):
    """What was asked cannot be understood; the sentence says why."""

    def __init__(self, sentence: str, status: int = 400) -> None:
        """`status` is a 4xx."""
        super().__init__(sentence)
        self.sentence, self.status = sentence, status


def faults(error: ValidationError) -> str:
    """Return what is wrong with a request, with the place of each of the first five faults, and none of its values."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in found[:5]) + "."


def wants_page(req: func.HttpRequest) -> bool:
    """Tell whether a browser asks, and not a program: the same address serves both."""
    return "hx-request" in req.headers or "text/html" in req.headers.get("accept", "")


def document(
    content: BaseModel | Mapping[str, object] | list[object], status: int = 200, **headers: str
) -> func.HttpResponse:
    """Answer with JSON."""
    body = TypeAdapter(object).dump_json(content, by_alias=True)
    return func.HttpResponse(
        body, status_code=status, mimetype="application/json", headers={**_HEADERS, **_named(headers)}
    )


def page(name: str, status: int = 200, headers: Mapping[str, str] | None = None, **values: object) -> func.HttpResponse:
    """Answer with a page, or a part of one."""
    from shared.console.render import render

    text = render(name, **values)
    return func.HttpResponse(
        text, status_code=status, mimetype="text/html", charset="utf-8", headers={**_HEADERS, **(headers or {})}
    )


def file(content: bytes, mimetype: str, **headers: str) -> func.HttpResponse:
    """Answer with a file."""
    return func.HttpResponse(content, mimetype=mimetype, headers={**_HEADERS, **_named(headers)})


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def etag(guest_version: str) -> str:
    """Return the version of a person as an entity tag."""
    return f'"{guest_version}"'


def refuse(
    req: func.HttpRequest, status: int, code: str, sentence: str, guest: Guest | None = None
) -> func.HttpResponse:
    """Answer that it was not done, and why; with the present state of the person whom it is about."""
    if "hx-request" in req.headers:
        return page("refusal.html", status, sentence=sentence)
    if wants_page(req):
        return page("refused.html", status, sentence=sentence, code=code)
    content: dict[str, object] = {"code": code, "message": sentence}
    if guest is None:
        return document(content, status)
    return document({**content, "person": view_of(guest)}, status, ETag=etag(guest.version))


async def guarded(
    req: func.HttpRequest,
    work: Work,
    *,
    changes: bool = False,
    accepts: tuple[str, ...] = (_JSON,),
    limit: int = BODY_LIMIT,
) -> func.HttpResponse:
    """Do the work for a caller who may ask for it; `changes` needs the role to review and a request of our own page.

    What changes something has one of the content types of `accepts`, or comes from the page; its body holds at most
    `limit` bytes. Whatever goes wrong becomes an answer with a stable code and a sentence, and never a stack trace.
    """
    try:
        who = caller(req, get_settings())
        if changes and not who.reviews:
            raise ForbiddenError(403, "The role AccessRequests.Review is needed for that.")
        if changes and not _comes_from_here(req):
            return refuse(req, 403, "cross-site", "The request comes from another site; nothing was done.")
        if changes and content_type(req) not in accepts and "hx-request" not in req.headers:
            return refuse(req, 415, "content-type", f"Send {' or '.join(accepts)}.")
        if len(req.get_body()) > limit:
            return refuse(req, 413, "body-too-large", f"The body holds at most {limit} bytes. Split it.")
        ports = await get_ports()
    except ForbiddenError as forbidden:
        code = "not-signed-in" if forbidden.status == 401 else "role-missing"
        return refuse(req, forbidden.status, code, forbidden.sentence)
    except SettingsError as error:
        log.error("not configured: %s", error)
        return refuse(req, 503, "not-configured", "The service is not configured; its log says what is missing.")
    except Exception as trouble:
        log.error("request failed", extra={"reason": type(trouble).__name__})
        return refuse(req, 503, "not-ready", "That did not work just now. Try again; the log says more.")
    try:
        return await work(ports, who)
    except BadRequestError as bad:
        return refuse(req, bad.status, "bad-request", bad.sentence)
    except StaleError as stale:
        sentence = f"Changed meanwhile: the person is now {name_of(stale.guest)}. Nothing was done."
        return refuse(req, 409, "changed-meanwhile", sentence, stale.guest)
    except IllegalMoveError as illegal:
        guest = await _guest(ports, req.route_params.get("guest"))
        return refuse(req, 409, "not-possible", f"Not possible now: {illegal}.", guest)
    except (ConflictError, LaterError) as trouble:
        log.warning("request put off", extra={"reason": type(trouble).__name__})
        return refuse(req, 503, "busy", "That did not work just now. Try again in a moment.")
    except Exception as trouble:
        log.error("request failed", extra={"reason": type(trouble).__name__})
        return refuse(req, 503, "failed", "That did not work just now. Try again; the log says more.")


async def _guest(ports: Ports, key: str | None) -> Guest | None:
    book = await ports.ledger.read(key, []) if key else None
    return book.guest if book is not None and book.version is not None else None


def _comes_from_here(req: func.HttpRequest) -> bool:
    """Tell that no other site made a signed-in browser send this: every browser says since 2023 where a request comes
    from (Sec-Fetch-Site), older ones name at least the site (Origin).

    Besides, neither a content type such as JSON's nor htmx's header can be sent across sites without the browser asking
    this server first, which never allows it.
    """
    site = req.headers.get("sec-fetch-site")
    if site is not None:
        return bool(site == "same-origin")
    origin = req.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == req.headers.get("host", "")


def content_type(req: func.HttpRequest) -> str:
    """Return the media type of the body, in lower case and without parameters."""
    return str(req.headers.get("content-type", "")).split(";")[0].strip().lower()
