"""Existing shares at an administrator's wish: scans, files, how far they are; and the health of the source accounts."""

from datetime import datetime

import azure.functions as func

from functions.answers import BadRequestError, content_type, document, guarded, refuse
from functions.principal import Caller
from shared.domain.batches import BatchKind
from shared.domain.connections import Connection
from shared.domain.trouble import RefusedError
from shared.workflows import accounts, batches
from shared.workflows.ports import Ports

blueprint = func.Blueprint()

_KINDS = {"text/csv": BatchKind.CSV, "application/x-ndjson": BatchKind.JSON_LINES}
_FILE_LIMIT = 32 * 1024 * 1024  # some 200,000 shares; a file is checked in memory


@blueprint.route("sources", methods=["GET"])
async def list_sources(req: func.HttpRequest) -> func.HttpResponse:
    """List the source accounts with their feeds: which are healthy, which are not and why."""

    async def work(ports: Ports, who: Caller) -> func.HttpResponse:
        return document(await accounts.list_accounts(ports))

    return await guarded(req, work)


@blueprint.route("sources/{connection}/scan", methods=["POST"])
async def start_scan(req: func.HttpRequest) -> func.HttpResponse:
    """Start a scan of all that the account shares now; the answer is the batch, also when one is running already."""

    async def work(ports: Ports, who: Caller) -> func.HttpResponse:
        try:
            batch = await batches.start_scan(ports, _connection(ports, req), who.name)
        except RefusedError as refusal:
            return refuse(req, 409, "not-possible", refusal.detail or refusal.reason.sentence)
        return document(await accounts.describe_batch(ports, batch), 202)

    return await guarded(req, work, changes=True)


@blueprint.route("sources/{connection}/shares", methods=["POST"])
async def upload_shares(req: func.HttpRequest) -> func.HttpResponse:
    """Take a file of existing shares: CSV or JSON lines; `asOf` is when they were seen. 422 lists every fault."""

    async def work(ports: Ports, who: Caller) -> func.HttpResponse:
        connection, seen = _connection(ports, req), _as_of(req)
        try:
            batch = await batches.take_file(
                ports, connection, _KINDS[content_type(req)], req.get_body(), seen, who.name
            )
        except batches.FaultyFileError as faulty:
            checked = faulty.checked
            faults = [{"line": fault.line, "message": fault.message} for fault in checked.faults]
            sentence = "Nothing was taken. Mend the lines and send the file again."
            answer = {"code": "faulty-file", "message": sentence, "faultCount": checked.fault_count, "faults": faults}
            return document(answer, 422)
        return document(await accounts.describe_batch(ports, batch), 202)

    return await guarded(req, work, changes=True, accepts=tuple(_KINDS), limit=_FILE_LIMIT)


@blueprint.route("batches", methods=["GET"])
async def list_batches(req: func.HttpRequest) -> func.HttpResponse:
    """List the batches, newest first."""

    async def work(ports: Ports, who: Caller) -> func.HttpResponse:
        return document({"batches": [accounts.summary(batch) async for batch in ports.batches.read()]})

    return await guarded(req, work)


@blueprint.route("batches/{batch}", methods=["GET"])
async def show_batch(req: func.HttpRequest) -> func.HttpResponse:
    """Show how far a batch is, and how many of its shares came to what."""

    async def work(ports: Ports, who: Caller) -> func.HttpResponse:
        batch, _ = await ports.batches.get(req.route_params["batch"])
        return document(await accounts.describe_batch(ports, batch)) if batch else _no_such_batch(req)

    return await guarded(req, work)


@blueprint.route("batches/{batch}/cancel", methods=["POST"])
async def cancel_batch(req: func.HttpRequest) -> func.HttpResponse:
    """Stop a batch; what it has sent on already is decided all the same."""

    async def work(ports: Ports, who: Caller) -> func.HttpResponse:
        batch = await batches.cancel(ports, req.route_params["batch"])
        return document(await accounts.describe_batch(ports, batch)) if batch else _no_such_batch(req)

    return await guarded(req, work, changes=True)


def _connection(ports: Ports, req: func.HttpRequest) -> Connection:
    connection = ports.connections.get(req.route_params["connection"])
    if connection is None:
        raise BadRequestError("There is no connection of this name.", 404)
    return connection


def _as_of(req: func.HttpRequest) -> datetime | None:
    text = req.params.get("asOf")
    if not text:
        return None
    try:
        seen = datetime.fromisoformat(text)
    except ValueError:
        seen = None
    if seen is None or seen.tzinfo is None:
        raise BadRequestError("asOf must be a time with an offset, for example 2026-11-25T14:30:00Z.")
    return seen


def _no_such_batch(req: func.HttpRequest) -> func.HttpResponse:
    return refuse(req, 404, "batch-unknown", "There is no such batch.")
