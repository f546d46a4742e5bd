"""The administrators' JSON interface: list, explain, approve, deny, try again."""

import json

import azure.functions as func

from functions.guard import answer, guarded, refuse
from shared.domain.guests import GuestState
from shared.domain.reasons import State
from shared.workflows import approvals, review
from shared.workflows.ports import Ports

blueprint = func.Blueprint()


@blueprint.route("access-requests", methods=["GET"])
async def list_access_requests(req: func.HttpRequest) -> func.HttpResponse:
    """List people; `state` chooses (held, invited, …, or needs-attention), `limit` up to 1000."""

    async def action(ports: Ports, by: str) -> func.HttpResponse:
        state, limit = req.params.get("state"), req.params.get("limit", "100")
        if state is not None and state not in (*GuestState, State.NEEDS_ATTENTION):
            return refuse(400, f"state must be one of {', '.join((*GuestState, State.NEEDS_ATTENTION))}.")
        if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:5]) <= 1000):
            return refuse(400, "limit must be a number from 1 to 1000.")
        if state == State.NEEDS_ATTENTION:
            return answer(await review.list_attention(ports, int(limit)))
        states = [GuestState(state)] if state else list(GuestState)
        return answer(await review.list_guests(ports, states, int(limit)))

    return await guarded(req, action)


@blueprint.route("unreadable", methods=["GET"])
async def list_unreadable(req: func.HttpRequest) -> func.HttpResponse:
    """List deliveries and messages that could not be read."""

    async def action(ports: Ports, by: str) -> func.HttpResponse:
        return answer(await review.list_unreadable(ports))

    return await guarded(req, action)


@blueprint.route("access-requests/{guest}", methods=["GET"])
async def explain_access_request(req: func.HttpRequest) -> func.HttpResponse:
    """Explain one person: every share with its reason, and the history."""

    async def action(ports: Ports, by: str) -> func.HttpResponse:
        content = await review.explain_guest(ports, req.route_params["guest"])
        return answer(content) if content else refuse(404, "There is no such person.")

    return await guarded(req, action)


@blueprint.route("access-requests/{guest}/approve", methods=["POST"])
async def approve_access_request(req: func.HttpRequest) -> func.HttpResponse:
    """Let the person be invited."""

    async def action(ports: Ports, by: str) -> func.HttpResponse:
        return answer({"state": await approvals.approve(ports, req.route_params["guest"], by)})

    return await guarded(req, action)


@blueprint.route("access-requests/{guest}/deny", methods=["POST"])
async def deny_access_request(req: func.HttpRequest) -> func.HttpResponse:
    """Deny access, with a reason: {"reason": "…"}."""

    async def action(ports: Ports, by: str) -> func.HttpResponse:
        try:
            why = json.loads(req.get_body())["reason"]
        except (ValueError, KeyError, TypeError, RecursionError):
            why = None
        if not isinstance(why, str) or not 1 <= len(why.strip()) <= 1000:
            return refuse(400, 'A reason of up to 1000 characters is needed: {"reason": "…"}.')
        return answer({"state": await approvals.deny(ports, req.route_params["guest"], by, why.strip())})

    return await guarded(req, action)


@blueprint.route("access-requests/{guest}/retry", methods=["POST"])
async def retry_access_request(req: func.HttpRequest) -> func.HttpResponse:
    """Start again what needs attention."""

    async def action(ports: Ports, by: str) -> func.HttpResponse:
        return answer({"state": await approvals.retry(ports, req.route_params["guest"], by)})

    return await guarded(req, action)
