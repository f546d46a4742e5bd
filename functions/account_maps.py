"""Account maps: list, export, and change after a look at what a change would move."""

import csv
import io
from urllib.parse import parse_qs

import azure.functions as func
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from functions.answers import BadRequestError, content_type, document, faults, file, guarded, page, wants_page
from functions.principal import Caller
from shared.domain.maps import Change, FaultyFileError, Mapped, fingerprint, read_csv, write_csv
from shared.domain.trouble import ConflictError
from shared.workflows import maps
from shared.workflows.ports import Ports
from shared.workflows.review import Answer

blueprint = func.Blueprint()

_SHOWN = 500  # entries on the page; the export holds all
_LOOKED_AT = 100  # changes whose shares are shown one by one


class MapRequest(BaseModel):
    """Entries as CSV (`connection,source,destination`). Without `confirm` nothing is changed: the answer shows what
    would be, and the fingerprint that confirms exactly that."""

    model_config = ConfigDict(extra="forbid")

    csv: str = Field(max_length=500_000)
    confirm: str | None = Field(default=None, max_length=64)


class EntryView(Answer):
    """One entry of a map."""

    connection: str
    source: str
    destination: str | None
    by: str
    moving: bool = Field(description="Its shares are still on their way")


class MapsView(Answer):
    """The account maps, and how each connection resolves people who are not mapped."""

    entries: list[EntryView]
    more: bool
    as_is: dict[str, bool] = Field(description="Connection -> true: as is, false: resolve first")


class AffectedView(Answer):
    """A share that a change moves."""

    guest: str
    share: str
    item: str | None
    principal: str | None


class ChangeView(Answer):
    """A change of one entry, with the shares that it moves."""

    connection: str
    source: str
    before: str | None
    after: str | None
    shares: list[AffectedView]


class PlanView(Answer):
    """What an import would change; `confirm` is what confirms it."""

    changes: list[ChangeView]
    confirm: str
    done: bool


@blueprint.route("account-maps", methods=["GET"])
async def list_account_maps(req: func.HttpRequest) -> func.HttpResponse:
    """The maps as a page, as JSON, or as CSV for editing."""

    async def work(ports: Ports, who: Caller) -> func.HttpResponse:
        found = [entry for name in ports.connections async for entry in ports.account_maps.read(name)]
        entries = [entry for entry in found if entry.destination != entry.source]
        if req.params.get("format") == "csv":
            name = 'attachment; filename="account-maps.csv"'
            return file(write_csv(entries).encode(), "text/csv", Content_Disposition=name)
        shown = MapsView(
            entries=[_entry(entry) for entry in entries[:_SHOWN]],
            more=len(entries) > _SHOWN,
            as_is={name: connection.as_is for name, connection in ports.connections.items()},
        )
        return page("maps.html", who=who, maps=shown) if wants_page(req) else document(shown)

    return await guarded(req, work)


@blueprint.route("account-maps", methods=["POST"])
async def change_account_maps(req: func.HttpRequest) -> func.HttpResponse:
    """Show what a file would change; with the confirmation of exactly that, change it and begin to move the shares."""

    async def work(ports: Ports, who: Caller) -> func.HttpResponse:
        asked = _read(req)
        try:
            wanted = read_csv(asked.csv, ports.connections)
        except FaultyFileError as faulty:
            if wants_page(req):
                return page("faulty.html", faults=faulty.faults, count=len(faulty.faults))
            faults = [{"line": line, "message": sentence} for line, sentence in faulty.faults[:1000]]
            message = "The file has faults; nothing of it was taken over."
            return document({"code": "faulty-file", "message": message, "faults": faults}, 422)
        changes = await maps.plan_changes(ports, wanted)
        confirm = fingerprint(changes)
        if asked.confirm is not None and asked.confirm != confirm:
            sentence = "The maps were changed since you looked, so this is no longer what you saw. Look again."
            raise BadRequestError(sentence, 409)
        if asked.confirm is not None:
            await _carry_out(ports, changes, who.name)
        views = [
            await _change(ports, change, look=asked.confirm is None and n < _LOOKED_AT)
            for n, change in enumerate(changes)
        ]
        plan = PlanView(changes=views, confirm=confirm, done=asked.confirm is not None)
        if not wants_page(req):
            return document(plan)
        headers = {"HX-Trigger-After-Swap": "maps-changed"} if plan.done else {}
        return page("plan.html", headers=headers, plan=plan, csv=asked.csv, looked_at=_LOOKED_AT)

    return await guarded(req, work, changes=True)


async def _carry_out(ports: Ports, changes: list[Change], by: str) -> None:
    """A crash in between leaves some undone; the same file again shows and does just those."""
    for change in changes:
        try:
            await maps.change_map(ports, change, by)
        except ConflictError:
            sentence = f"The entry of {change.source} was changed by somebody else just now. Look again."
            raise BadRequestError(sentence, 409) from None


async def _change(ports: Ports, change: Change, *, look: bool) -> ChangeView:
    shares = await maps.affected(ports, change) if look else []
    views = [
        AffectedView(
            guest=Mapped(connection=change.connection, source=change.source, destination=change.before).key,
            share=share.id,
            item=share.item.path if share.item else None,
            principal=change.source,
        )
        for share in shares
    ]
    return ChangeView(**change.model_dump(), shares=views)


def _entry(entry: Mapped) -> EntryView:
    return EntryView(
        connection=entry.connection,
        source=entry.source,
        destination=entry.destination,
        by=entry.by,
        moving=bool(entry.moving_from),
    )


def _read(req: func.HttpRequest) -> MapRequest:
    """Read JSON, the page's upload, or its form: one entry, or the text of a file that is confirmed."""
    kind = content_type(req)
    try:
        if kind == "application/json":
            return MapRequest.model_validate_json(req.get_body())
        if kind == "multipart/form-data":
            upload = req.files.get("file")
            return MapRequest(csv=upload.read().decode("utf-8-sig") if upload else "")
        form = parse_qs(req.get_body().decode(), keep_blank_values=True, max_num_fields=20)
    except ValidationError as error:
        raise BadRequestError(faults(error)) from None
    except ValueError:
        raise BadRequestError("The file is not UTF-8 text.") from None
    if "csv" in form:
        return MapRequest(csv=form["csv"][0], confirm=form.get("confirm", [None])[0])
    row = io.StringIO()
    writer = csv.writer(row)
    writer.writerow(("connection", "source", "destination"))
    writer.writerow([form.get(name, [""])[0] for name in ("connection", "source", "destination")])
    return MapRequest(csv=row.getvalue())
