"""Webhooks: authenticate the raw bytes, put them on the queue, answer. Never waits for the platform."""

import json
import logging

import azure.functions as func

from shared import telemetry
from shared.domain.trouble import RejectedError
from shared.settings import SettingsError
from shared.wiring import get_ports
from shared.workflows.deliveries import accept_delivery, answer_handshake

blueprint = func.Blueprint()
log = logging.getLogger("guestpass.deliveries")

# A handshake's answer repeats what a stranger sent: no browser may make a page of it.
_INERT = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}


@blueprint.route("webhooks/{connection}", methods=["GET", "POST"])
async def receive_delivery(req: func.HttpRequest) -> func.HttpResponse:
    """200 a handshake's answer; 202 (Dropbox: 200) accepted; 4xx not accepted, with the reason; 503 our own trouble, so
    that the platform tries again."""
    connection = req.route_params["connection"]
    try:
        ports = await get_ports()
        proof = answer_handshake(ports, connection, req.params)
        if proof is not None:
            return func.HttpResponse(proof, mimetype="text/plain", charset="utf-8", headers=_INERT)
        if req.method != "POST":
            raise RejectedError(405, "method-not-allowed", "Deliveries are POST requests.")
        status = await accept_delivery(ports, connection, req.headers, req.get_body())
    except RejectedError as rejection:
        # What a stranger calls a connection is no word of ours.
        name = connection if rejection.code != "connection-unknown" else "unknown"
        telemetry.delivered(name, rejection.code)
        log.warning("delivery rejected", extra={"connection": name, "reason": rejection.code})
        return _answer(rejection.status, rejection.code, rejection.sentence)
    except SettingsError as error:
        log.error("not configured: %s", error)
        return _answer(503, "not-ready", "The delivery could not be taken. Send it again.")
    except Exception as trouble:
        log.error("delivery not taken", extra={"reason": type(trouble).__name__})
        return _answer(503, "not-ready", "The delivery could not be taken. Send it again.")
    telemetry.delivered(connection, "accepted")
    return _answer(status, "accepted", "The delivery was accepted.")


def _answer(status: int, code: str, sentence: str) -> func.HttpResponse:
    body = json.dumps({"code": code, "message": sentence})
    return func.HttpResponse(body, status_code=status, mimetype="application/json")
