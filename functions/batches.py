"""Existing shares at an administrator's wish: scans, files, how far they are; and the health of the source accounts."""

from datetime import datetime

import azure.functions as func

from functions.guard import answer, content_type, guarded, refuse
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

    async def action(ports: Ports, by: str) -> func.HttpResponse:
        return answer(await accounts.list_accounts(ports))

    return await guarded(req, action)


@blueprint.route("sources/{connection}/scan", methods=["POST"])
async def start_scan(req: func.HttpRequest) -> func.HttpResponse:
    """Start a scan of all that the account shares now; the answer is the batch, also when one is running already."""

    async def action(ports: Ports, by: str) -> func.HttpResponse:
        connection = ports.connections.get(req.route_params["connection"])
        if connection is None:
            return refuse(404, "There is no connection of this name.")
        try:
            batch = await batches.start_scan(ports, connection, by)
        except RefusedError as refusal:
            return refuse(409, refusal.detail or refusal.reason.sentence)
        return answer(await accounts.describe_batch(ports, batch), 202)

    return await guarded(req, action)


@blueprint.route("sources/{connection}/shares", methods=["POST"])
async def upload_shares(req: func.HttpRequest) -> func.HttpResponse:
    """Take a file of existing shares: CSV or JSON lines; `asOf` is when they were seen. 422 lists every fault."""

    async def action(ports: Ports, by: str) -> func.HttpResponse:
        connection = ports.connections.get(req.route_params["connection"])
        if connection is None:
            return refuse(404, "There is no connection of this name.")
        return await _take(ports, connection, req, by)

    return await guarded(req, action, tuple(_KINDS))


async def _take(ports: Ports, connection: Connection, req: func.HttpRequest, by: str) -> func.HttpResponse:
    content = req.get_body()
    if len(content) > _FILE_LIMIT:
        return refuse(
            413, f"A file holds at most {_FILE_LIMIT} bytes. Split it; the order of its lines is not important."
        )
    as_of = req.params.get("asOf")
    try:
        seen = datetime.fromisoformat(as_of) if as_of else None
        if seen is not None and seen.tzinfo is None:
            raise ValueError
    except ValueError:
        return refuse(400, "asOf must be a time with an offset, for example 2026-11-25T14:30:00Z.")
    try:
        batch = await batches.take_file(ports, connection, _KINDS[content_type(req)], content, seen, by)
    except batches.FaultyFileError as faulty:
        checked = faulty.checked
        return answer(
            {
                "message": "Nothing was taken. Mend the lines and send the file again.",
                "faultCount": checked.fault_count,
                "faults": [{"line": fault.line, "fault": fault.message} for fault in checked.faults],
            },
            422,
        )
    return answer(await accounts.describe_batch(ports, batch), 202)


@blueprint.route("batches", methods=["GET"])
async def list_batches(req: func.HttpRequest) -> func.HttpResponse:
    """List the batches, newest first."""

    async def action(ports: Ports, by: str) -> func.HttpResponse:
        return answer({"batches": [accounts.summary(batch) async for batch in ports.batches.read()]})

    return await guarded(req, action)


@blueprint.route("batches/{batch}", methods=["GET"])
async def show_batch(req: func.HttpRequest) -> func.HttpResponse:
    """Show how far a batch is, and how many of its shares came to what."""

    async def action(ports: Ports, by: str) -> func.HttpResponse:
        batch, _ = await ports.batches.get(req.route_params["batch"])
        return answer(await accounts.describe_batch(ports, batch)) if batch else _no_such_batch()

    return await guarded(req, action)


@blueprint.route("batches/{batch}/cancel", methods=["POST"])
async def cancel_batch(req: func.HttpRequest) -> func.HttpResponse:
    """Stop a batch; what it has sent on already is decided all the same."""

    async def action(ports: Ports, by: str) -> func.HttpResponse:
        batch = await batches.cancel(ports, req.route_params["batch"])
        return answer(await accounts.describe_batch(ports, batch)) if batch else _no_such_batch()

    return await guarded(req, action)


def _no_such_batch() -> func.HttpResponse:
    return refuse(404, "There is no such batch.")
