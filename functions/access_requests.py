"""The administrators' JSON interface: list, explain, approve, deny, try again."""

import json
import logging
import re
from collections.abc import Awaitable, Callable

import azure.functions as func

from functions.principal import ForbiddenError, reviewer
from shared.domain.guests import GuestState, IllegalMoveError
from shared.domain.reasons import State
from shared.settings import SettingsError
from shared.wiring import get_ports, get_settings
from shared.workflows import approvals, review
from shared.workflows.ports import Ports

blueprint = func.Blueprint()
log = logging.getLogger("guestpass.access_requests")

_KEY = re.compile("[0-9a-f]{32}")


def _json(content: object, status: int = 200) -> func.HttpResponse:
    return func.HttpResponse(
        json.dumps(content), status_code=status, mimetype="application/json", headers={"Cache-Control": "no-store"}
    )


def _error(status: int, sentence: str) -> func.HttpResponse:
    return _json({"message": sentence}, status)


async def _guarded(
    req: func.HttpRequest, action: Callable[[Ports, str], Awaitable[func.HttpResponse]]
) -> func.HttpResponse:
    """Run an action as the reviewer who asks for it. State changes must be JSON: a foreign page cannot send that
    without the browser asking us first."""
    try:
        by = reviewer(req, get_settings())
        ports = await get_ports()
    except ForbiddenError as forbidden:
        return _error(forbidden.status, forbidden.sentence)
    except SettingsError as error:
        log.error("not configured: %s", error)
        return _error(503, "The service is not configured; its log says what is missing.")
    is_json = req.headers.get("content-type", "").split(";")[0].strip().lower() == "application/json"
    if req.method == "POST" and not is_json:
        return _error(415, "Send application/json.")
    if not _KEY.fullmatch(req.route_params.get("guest") or "0" * 32):
        return _error(404, "There is no such person.")
    try:
        return await action(ports, by)
    except IllegalMoveError as illegal:
        return _error(409, f"Not possible now: {illegal}.")
    except Exception as trouble:
        log.error("request failed", extra={"reason": type(trouble).__name__})
        return _error(503, "That did not work just now. Try again; the log says more.")


@blueprint.route("access-requests", methods=["GET"])
async def list_access_requests(req: func.HttpRequest) -> func.HttpResponse:
    """List people; `state` chooses (held, invited, …, or needs-attention), `limit` up to 1000."""

    async def action(ports: Ports, by: str) -> func.HttpResponse:
        state, limit = req.params.get("state"), req.params.get("limit", "100")
        if state is not None and state not in (*GuestState, State.NEEDS_ATTENTION):
            return _error(400, f"state must be one of {', '.join((*GuestState, State.NEEDS_ATTENTION))}.")
        if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:5]) <= 1000):
            return _error(400, "limit must be a number from 1 to 1000.")
        if state == State.NEEDS_ATTENTION:
            return _json(await review.list_attention(ports, int(limit)))
        states = [GuestState(state)] if state else list(GuestState)
        return _json(await review.list_guests(ports, states, int(limit)))

    return await _guarded(req, action)


@blueprint.route("unreadable", methods=["GET"])
async def list_unreadable(req: func.HttpRequest) -> func.HttpResponse:
    """List deliveries and messages that could not be read."""

    async def action(ports: Ports, by: str) -> func.HttpResponse:
        return _json(await review.list_unreadable(ports))

    return await _guarded(req, action)


@blueprint.route("access-requests/{guest}", methods=["GET"])
async def explain_access_request(req: func.HttpRequest) -> func.HttpResponse:
    """Explain one person: every share with its reason, and the history."""

    async def action(ports: Ports, by: str) -> func.HttpResponse:
        content = await review.explain_guest(ports, req.route_params["guest"])
        return _json(content) if content else _error(404, "There is no such person.")

    return await _guarded(req, action)


@blueprint.route("access-requests/{guest}/approve", methods=["POST"])
async def approve_access_request(req: func.HttpRequest) -> func.HttpResponse:
    """Let the person be invited."""

    async def action(ports: Ports, by: str) -> func.HttpResponse:
        return _json({"state": await approvals.approve(ports, req.route_params["guest"], by)})

    return await _guarded(req, action)


@blueprint.route("access-requests/{guest}/deny", methods=["POST"])
async def deny_access_request(req: func.HttpRequest) -> func.HttpResponse:
    """Deny access, with a reason: {"reason": "…"}."""

    async def action(ports: Ports, by: str) -> func.HttpResponse:
        try:
            why = json.loads(req.get_body())["reason"]
        except (ValueError, KeyError, TypeError, RecursionError):
            why = None
        if not isinstance(why, str) or not 1 <= len(why.strip()) <= 1000:
            return _error(400, 'A reason of up to 1000 characters is needed: {"reason": "…"}.')
        return _json({"state": await approvals.deny(ports, req.route_params["guest"], by, why.strip())})

    return await _guarded(req, action)


@blueprint.route("access-requests/{guest}/retry", methods=["POST"])
async def retry_access_request(req: func.HttpRequest) -> func.HttpResponse:
    """Start again what needs attention."""

    async def action(ports: Ports, by: str) -> func.HttpResponse:
        return _json({"state": await approvals.retry(ports, req.route_params["guest"], by)})

    return await _guarded(req, action)
