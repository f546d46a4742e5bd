"""Existing shares at an administrator's wish: scans, files, how far they are; and the health of the source accounts."""

import re
from datetime import datetime

import azure.functions as func

from functions.answers import BadRequestError, content_type, document, guarded, page, refuse, wants_page
from functions.principal import Caller
from shared.domain.batches import Batch, BatchKind, CheckedFile
from shared.domain.connections import Connection
from shared.domain.trouble import RefusedError
from shared.workflows import accounts, batches
from shared.workflows.ports import Ports

blueprint = func.Blueprint()

_KINDS = {"text/csv": BatchKind.CSV, "application/x-ndjson": BatchKind.JSON_LINES}
_ENDINGS = {"csv": BatchKind.CSV, "jsonl": BatchKind.JSON_LINES, "ndjson": BatchKind.JSON_LINES}
_FORM = "multipart/form-data"
_FILE_LIMIT = 32 * 1024 * 1024  # some 200,000 shares; a file is checked in memory


@blueprint.route("sources", methods=["GET"])
async def list_sources(req: func.HttpRequest) -> func.HttpResponse:
    """List the source accounts with their feeds: which are healthy, which are not and why."""

    async def work(ports: Ports, who: Caller) -> func.HttpResponse:
        found = await accounts.list_accounts(ports)
        if not wants_page(req):
            return document(found)
        newest = await accounts.list_batches(ports)
        return page("sources.html", who=who, accounts=found.sources, batches=newest.batches)

    return await guarded(req, work)


@blueprint.route("sources/{connection}/scan", methods=["POST"])
async def start_scan(req: func.HttpRequest) -> func.HttpResponse:
    """Start a scan of all that the account shares now; the answer is the batch, also when one is running already."""

    async def work(ports: Ports, who: Caller) -> func.HttpResponse:
        try:
            batch = await batches.start_scan(ports, _connection(ports, req), who.name)
        except RefusedError as refusal:
            return refuse(req, 409, "not-possible", refusal.detail or refusal.reason.sentence)
        return await _begun(ports, req, batch)

    return await guarded(req, work, changes=True)


@blueprint.route("sources/{connection}/shares", methods=["POST"])
async def upload_shares(req: func.HttpRequest) -> func.HttpResponse:
    """Take a file of existing shares: CSV or JSON lines; `asOf` is when they were seen. 422 lists every fault."""

    async def work(ports: Ports, who: Caller) -> func.HttpResponse:
        connection, seen, (kind, content) = _connection(ports, req), _as_of(req), _file(req)
        try:
            batch = await batches.take_file(ports, connection, kind, content, seen, who.name)
        except batches.FaultyFileError as faulty:
            return _faulty(req, faulty.checked)
        return await _begun(ports, req, batch)

    return await guarded(req, work, changes=True, accepts=tuple(_KINDS), limit=_FILE_LIMIT)


@blueprint.route("batches", methods=["GET"])
async def list_batches(req: func.HttpRequest) -> func.HttpResponse:
    """List the batches, newest first."""

    async def work(ports: Ports, who: Caller) -> func.HttpResponse:
        return document(await accounts.list_batches(ports))

    return await guarded(req, work)


@blueprint.route("batches/{batch}", methods=["GET"])
async def show_batch(req: func.HttpRequest) -> func.HttpResponse:
    """Show how far a batch is, and how many of its shares came to what."""

    async def work(ports: Ports, who: Caller) -> func.HttpResponse:
        batch, _ = await ports.batches.get(_ident(req))
        if batch is None:
            return _unknown_batch(req)
        found = await accounts.describe_batch(ports, batch)
        return page("batch.html", who=who, batch=found) if wants_page(req) else document(found)

    return await guarded(req, work)


@blueprint.route("batches/{batch}/cancel", methods=["POST"])
async def cancel_batch(req: func.HttpRequest) -> func.HttpResponse:
    """Stop a batch; what it has sent on already is decided all the same."""

    async def work(ports: Ports, who: Caller) -> func.HttpResponse:
        batch = await batches.cancel(ports, _ident(req))
        if batch is None:
            return _unknown_batch(req)
        return await _begun(ports, req, batch, status=200)

    return await guarded(req, work, changes=True)


async def _begun(ports: Ports, req: func.HttpRequest, batch: Batch, status: int = 202) -> func.HttpResponse:
    found = await accounts.describe_batch(ports, batch)
    if not wants_page(req):
        return document(found, status)
    return page("begun.html", status, {"HX-Trigger-After-Swap": "batches-changed"}, batch=found)


def _faulty(req: func.HttpRequest, checked: CheckedFile) -> func.HttpResponse:
    if wants_page(req):
        faults = [(fault.line, fault.message) for fault in checked.faults]
        return page("faulty.html", faults=faults, count=checked.fault_count)
    return document(
        {
            "code": "faulty-file",
            "message": "Nothing was taken. Mend the lines and send the file again.",
            "faultCount": checked.fault_count,
            "faults": [{"line": fault.line, "message": fault.message} for fault in checked.faults],
        },
        422,
    )


def _connection(ports: Ports, req: func.HttpRequest) -> Connection:
    connection = ports.connections.get(req.route_params["connection"])
    if connection is None:
        raise BadRequestError("There is no connection of this name.", 404)
    return connection


def _file(req: func.HttpRequest) -> tuple[BatchKind, bytes]:
    """Return the body, or the file in the page's form, whose name says what it is."""
    kind = content_type(req)
    if kind in _KINDS:
        return _KINDS[kind], req.get_body()
    upload = req.files.get("file") if kind == _FORM else None
    ending = str(upload.filename).lower().rpartition(".")[2] if upload else ""
    if upload is None or ending not in _ENDINGS:
        raise BadRequestError(f"Choose a file that ends in {', '.join(f'.{ending}' for ending in _ENDINGS)}.")
    return _ENDINGS[ending], upload.read()


def _as_of(req: func.HttpRequest) -> datetime | None:
    written = req.form.get("asOf") if content_type(req) == _FORM else None
    text = f"{written}Z" if written else req.params.get("asOf")  # the page's times are UTC
    if not text:
        return None
    try:
        seen = datetime.fromisoformat(text)
    except ValueError:
        seen = None
    if seen is None or seen.tzinfo is None:
        raise BadRequestError("asOf must be a time with an offset, for example 2026-11-25T14:30:00Z.")
    return seen


def _ident(req: func.HttpRequest) -> str:
    """Return the batch's id; `none`, which no batch has, for what cannot be one."""
    ident = str(req.route_params["batch"])
    return ident if re.fullmatch(r"[0-9a-f-]{1,40}", ident, re.ASCII) else "none"


def _unknown_batch(req: func.HttpRequest) -> func.HttpResponse:
    return refuse(req, 404, "batch-unknown", "There is no such batch.")
