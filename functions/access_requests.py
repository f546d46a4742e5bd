"""The administrators' page and the JSON interface behind it: list, search, explain, act on one person or on many."""

import re
from typing import Annotated
from urllib.parse import parse_qs, urlencode

import azure.functions as func
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from functions.answers import BadRequestError, content_type, document, etag, faults, guarded, page, refuse, wants_page
from functions.principal import Caller
from shared.domain.guests import Guest, View
from shared.domain.terms import Kind
from shared.workflows import approvals, bulk, review
from shared.workflows.bulk import MOST, Action
from shared.workflows.ports import Ports

blueprint = func.Blueprint()

_KEY = "^[0-9a-f]{32}$"
_DOMAIN = "^[^\\s/@]{1,253}$"
_PLACE = "^[ -~]{0,1024}$"

Reason = Annotated[str, Field(max_length=1000)]
_NEED_REASON = ("deny", "revoke")


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class PeopleQuery(_Request):
    """Which people to list."""

    view: View | None = None
    domain: str | None = Field(default=None, pattern=_DOMAIN)
    q: str | None = Field(default=None, max_length=200)
    kind: Kind | None = Field(default=None, alias="in")
    limit: int = Field(default=review.PAGE, ge=1, le=200)
    after: str = Field(default="", pattern=_PLACE)


class Person(_Request):
    """A person, and the version of them that was seen."""

    guest: str = Field(pattern=_KEY)
    version: str | None = Field(default=None, pattern=_KEY)


class BulkRequest(_Request):
    """An action for named people, or for a page of a view: all of it, step by step, with `after`."""

    action: Action
    reason: Reason | None = None
    people: list[Person] = Field(default=[], max_length=MOST)
    view: View | None = None
    domain: str | None = Field(default=None, pattern=_DOMAIN)
    after: str = Field(default="", pattern=_PLACE)


class ActionRequest(_Request):
    """An action for one person, or (revoke, restore) for some of their shares only."""

    reason: Reason | None = None
    shares: list[str] = Field(default=[], max_length=MOST)


@blueprint.route("access-requests", methods=["GET"])
async def list_access_requests(req: func.HttpRequest) -> func.HttpResponse:
    """A page of people: under a head, of a domain, or found by a term."""

    async def work(ports: Ports, who: Caller) -> func.HttpResponse:
        query = _parse(PeopleQuery, dict(req.params))
        if query.q and query.after and not (query.after.isascii() and query.after.isdigit() and len(query.after) < 9):
            raise BadRequestError("after: must be what the answer before gave as next.")
        view = query.view or (None if query.q else View.HELD)
        if query.q:
            kinds = [query.kind] if query.kind else list(Kind)
            people = await review.search(ports, query.q, kinds, view, limit=query.limit, after=query.after)
        else:
            head = view or View.HELD
            domain = query.domain.lower() if query.domain else None
            people = await review.list_people(ports, head, domain=domain, limit=query.limit, after=query.after)
        if not wants_page(req):
            return document(people)
        counts = await review.count_people(ports)
        return page(
            "requests.html",
            who=who,
            people=people,
            query=query,
            view=view,
            counts=counts,
            kinds=list(Kind),
            self_url=_address(query),
            first_url=_address(query, after=""),
            next_url=_address(query, after=people.next or ""),
        )

    return await guarded(req, work)


@blueprint.route("access-requests", methods=["POST"])
async def act_on_access_requests(req: func.HttpRequest) -> func.HttpResponse:
    """Approve, deny, reinvite, revoke or try again many people, with a result for each."""

    async def work(ports: Ports, who: Caller) -> func.HttpResponse:
        asked = _read(BulkRequest, req)
        _check_reason(asked.action, asked.reason)
        if bool(asked.people) == bool(asked.view):
            raise BadRequestError("Choose people, or a view.")
        if asked.view:
            domain = asked.domain.lower() if asked.domain else None
            done = await bulk.act_on_view(ports, asked.action, asked.view, domain, asked.after, who.name, asked.reason)
        else:
            people = [(person.guest, person.version) for person in asked.people]
            done = await bulk.act_on_people(ports, asked.action, people, who.name, asked.reason)
        if not wants_page(req):
            return document(done)
        headers = {} if done.next else {"HX-Trigger-After-Swap": "people-changed"}
        return page("results.html", headers=headers, done=done, asked=asked)

    return await guarded(req, work, changes=True)


@blueprint.route("access-requests/{guest}", methods=["GET"])
async def explain_access_request(req: func.HttpRequest) -> func.HttpResponse:
    """Explain one person: identity, invitation, every share with its reason, and the history."""

    async def work(ports: Ports, who: Caller) -> func.HttpResponse:
        person = await review.explain_guest(ports, _key(req))
        if person is None:
            return refuse(req, 404, "person-unknown", "There is no such person.")
        if not wants_page(req):
            return document(person, ETag=etag(person.version))
        return page("person.html", who=who, person=person)

    return await guarded(req, work)


@blueprint.route("access-requests/{guest}/{action}", methods=["POST"])
async def act_on_access_request(req: func.HttpRequest) -> func.HttpResponse:
    """Approve, deny, reinvite, revoke, restore or try again one person, at the version that If-Match names."""

    async def work(ports: Ports, who: Caller) -> func.HttpResponse:
        key, name = _key(req), req.route_params["action"]
        if name not in (*Action, "restore"):
            return refuse(req, 404, "action-unknown", "There is no such action.")
        asked = _read(ActionRequest, req, ignore=("version",))
        _check_reason(name, asked.reason)
        guest = await _act(ports, name, key, who.name, asked, _version(req))
        if not wants_page(req):
            return document(review.view_of(guest), ETag=etag(guest.version))
        return page("done.html", headers={"HX-Trigger-After-Swap": "people-changed"}, standing=bulk.name_of(guest))

    return await guarded(req, work, changes=True)


async def _act(ports: Ports, name: str, key: str, by: str, asked: ActionRequest, version: str | None) -> Guest:
    if name == "restore":
        return await approvals.restore_shares(ports, key, asked.shares, by, version)
    if asked.shares and name == Action.REVOKE:
        return await approvals.revoke_shares(ports, key, asked.shares, by, asked.reason or "", version)
    if asked.shares:
        raise BadRequestError("Single shares can be revoked and restored.")
    return await bulk.act(ports, Action(name), key, by, asked.reason, version)


@blueprint.route("access-requests/{guest}/shares/{share}", methods=["GET"])
async def open_destination(req: func.HttpRequest) -> func.HttpResponse:
    """Go to a share's item at the destination."""

    async def work(ports: Ports, who: Caller) -> func.HttpResponse:
        address = await review.open_share(ports, _key(req), req.route_params["share"][:100])
        if address is None:
            return refuse(req, 404, "item-missing", "The item is not at the destination, or the share gives nothing.")
        return func.HttpResponse(status_code=302, headers={"Location": address, "Cache-Control": "no-store"})

    return await guarded(req, work)


@blueprint.route("unreadable", methods=["GET"])
async def list_unreadable(req: func.HttpRequest) -> func.HttpResponse:
    """List deliveries and messages that could not be read."""

    async def work(ports: Ports, who: Caller) -> func.HttpResponse:
        found = await review.list_unreadable(ports)
        return page("unreadable.html", who=who, found=found) if wants_page(req) else document({"unreadable": found})

    return await guarded(req, work)


def _address(query: PeopleQuery, **changes: str) -> str:
    values = query.model_dump(mode="json", by_alias=True, exclude_defaults=True) | changes
    return "/api/access-requests?" + urlencode({name: value for name, value in values.items() if value})


def _key(req: func.HttpRequest) -> str:
    key = req.route_params.get("guest") or ""
    if not re.fullmatch(_KEY, key):
        raise BadRequestError("There is no such person.", 404)
    return key


def _version(req: func.HttpRequest) -> str | None:
    """Return the version that the administrator saw; None for `*`, any. Raises BadRequestError when none is named."""
    named = req.headers.get("if-match") or "".join(_form(req).get("version", []))
    if not named:
        raise BadRequestError("Name the version of the person that you saw in If-Match, or * for any.", 428)
    return None if named == "*" else named.removeprefix("W/").strip('"')


def _check_reason(action: str, reason: str | None) -> None:
    if action in _NEED_REASON and not (reason or "").strip():
        raise BadRequestError("A reason is needed; it stands in the history.")


def _is_json(req: func.HttpRequest) -> bool:
    return content_type(req) == "application/json"


def _form(req: func.HttpRequest) -> dict[str, list[str]]:
    if _is_json(req):
        return {}
    try:
        return parse_qs(req.get_body().decode(), max_num_fields=1000)
    except ValueError:
        raise BadRequestError("The form cannot be read.") from None


def _read[M: BaseModel](model: type[M], req: func.HttpRequest, ignore: tuple[str, ...] = ()) -> M:
    """Read a JSON body, or the page's form: `person` fields hold a key and a version."""
    if _is_json(req):
        try:
            return model.model_validate_json(req.get_body() or b"{}")
        except ValidationError as error:
            raise BadRequestError(faults(error)) from None
    form = _form(req)
    values: dict[str, object] = {name: found[-1] for name, found in form.items() if name not in ("person", *ignore)}
    if "share" in form:
        values["shares"] = form["share"]
        values.pop("share")
    if values.pop("scope", None) != "view" and model is BulkRequest:
        people = [person.partition(":") for person in form.get("person", [])]
        values = {name: value for name, value in values.items() if name in ("action", "reason")}
        values["people"] = [{"guest": guest, "version": version or None} for guest, _, version in people]
        if not people:
            raise BadRequestError("Nobody is selected.")
    return _parse(model, values)


def _parse[M: BaseModel](model: type[M], values: dict[str, object]) -> M:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise BadRequestError(faults(error)) from None
