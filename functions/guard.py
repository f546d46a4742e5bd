"""What every function of the administrators' interface does around its action: who asks, in which form, and answers."""

import json
import logging
import re
from collections.abc import Awaitable, Callable

import azure.functions as func

from functions.principal import ForbiddenError, reviewer
from shared.domain.guests import IllegalMoveError
from shared.settings import SettingsError
from shared.wiring import get_ports, get_settings
from shared.workflows.ports import Ports

log = logging.getLogger("guestpass.administration")

JSON = ("application/json",)
_KEY = re.compile("[0-9a-f]{32}")


def answer(content: object, status: int = 200) -> func.HttpResponse:
    """Return JSON that nobody keeps."""
    return func.HttpResponse(
        json.dumps(content), status_code=status, mimetype="application/json", headers={"Cache-Control": "no-store"}
    )


def refuse(status: int, sentence: str) -> func.HttpResponse:
    """Return an error with its sentence."""
    return answer({"message": sentence}, status)


async def guarded(
    req: func.HttpRequest,
    action: Callable[[Ports, str], Awaitable[func.HttpResponse]],
    accepts: tuple[str, ...] = JSON,
) -> func.HttpResponse:
    """Run an action as the reviewer who asks for it. What changes something must have one of the content types of
    `accepts`: a foreign page cannot send those without the browser asking us first."""
    try:
        by = reviewer(req, get_settings())
        ports = await get_ports()
    except ForbiddenError as forbidden:
        return refuse(forbidden.status, forbidden.sentence)
    except SettingsError as error:
        log.error("not configured: %s", error)
        return refuse(503, "The service is not configured; its log says what is missing.")
    if req.method == "POST" and content_type(req) not in accepts:
        return refuse(415, f"Send {' or '.join(accepts)}.")
    if not _KEY.fullmatch(req.route_params.get("guest") or "0" * 32):
        return refuse(404, "There is no such person.")
    try:
        return await action(ports, by)
    except IllegalMoveError as illegal:
        return refuse(409, f"Not possible now: {illegal}.")
    except Exception as trouble:
        log.error("request failed", extra={"reason": type(trouble).__name__})
        return refuse(503, "That did not work just now. Try again; the log says more.")


def content_type(req: func.HttpRequest) -> str:
    """Return the media type of the body, in lower case and without parameters."""
    return str(req.headers.get("content-type", "")).split(";")[0].strip().lower()
