"""The OpenAPI document of the JSON interface, made from the models that the routes read and answer with."""

from functools import cache
from typing import Any

import azure.functions as func
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from functions.access_requests import ActionRequest, BulkRequest
from functions.account_maps import MapRequest, MapsView, PlanView
from functions.answers import document, guarded
from functions.principal import Caller
from functions.tenant_check import ChecksView
from shared.domain.guests import View
from shared.domain.terms import Kind
from shared.workflows.accounts import AccountsView, BatchesView, OutcomesView
from shared.workflows.bulk import Results
from shared.workflows.ports import Ports
from shared.workflows.review import ExplainedView, PeopleView, PersonView
from shared.workflows.status import StatusView

blueprint = func.Blueprint()


class Empty(BaseModel):
    """Nothing needs to be said."""


_ANSWERS: tuple[type[BaseModel], ...] = (
    PeopleView,
    ExplainedView,
    PersonView,
    Results,
    AccountsView,
    BatchesView,
    OutcomesView,
    MapsView,
    PlanView,
    StatusView,
    ChecksView,
)
_REQUESTS: tuple[type[BaseModel], ...] = (BulkRequest, ActionRequest, MapRequest, Empty)
_ACTIONS = {
    "approve": "Let the person be invited; all their waiting shares follow, and their later ones.",
    "deny": "Deny access to a person who has not accepted yet; stands until somebody approves.",
    "reinvite": "Send the invitation's mail again.",
    "revoke": "Take back all that was given to the person, or the named shares; stands against the source.",
    "restore": "Give the named shares again.",
    "retry": "Start again what needs attention.",
}


@blueprint.route("openapi.json", methods=["GET"])
async def describe_interface(req: func.HttpRequest) -> func.HttpResponse:
    """The document, for whoever may read access requests."""

    async def work(ports: Ports, who: Caller) -> func.HttpResponse:
        return document(description())

    return await guarded(req, work)


@cache
def description() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document."""
    _, answers = models_json_schema(
        [(model, "serialization") for model in _ANSWERS], ref_template="#/components/schemas/{model}"
    )
    _, requests = models_json_schema(
        [(model, "validation") for model in _REQUESTS], ref_template="#/components/schemas/{model}"
    )
    refusal = {
        "type": "object",
        "required": ["code", "message"],
        "properties": {
            "code": {"type": "string", "description": "Stable"},
            "message": {"type": "string", "description": "A sentence for people"},
            "person": {"$ref": "#/components/schemas/PersonView", "description": "The present state"},
            "faults": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["line", "message"],
                    "properties": {"line": {"type": "integer"}, "message": {"type": "string"}},
                },
            },
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Guestpass access requests",
            "version": "1",
            "description": "Reading needs the app role AccessRequests.Read, changing AccessRequests.Review.",
        },
        "servers": [{"url": "/api"}],
        "paths": {
            "/access-requests": {"get": _list(), "post": _bulk()},
            "/access-requests/{guest}": {"get": _explain()},
            **{f"/access-requests/{{guest}}/{name}": {"post": _action(name)} for name in _ACTIONS},
            "/account-maps": {"get": _maps(), "post": _change_maps()},
            "/sources": {"get": _operation("listSources", "List the accounts and their health.", AccountsView, ())},
            "/sources/{connection}/scan": {"post": _scan()},
            "/sources/{connection}/shares": {"post": _upload()},
            "/batches": {"get": _operation("listBatches", "List the newest batches.", BatchesView, ())},
            "/batches/{batch}": {"get": _operation("showBatch", "Show a batch.", OutcomesView, (404,), [_BATCH])},
            "/batches/{batch}/cancel": {"post": _cancel()},
            "/status": {"get": _operation("showStatus", "Counts for dashboards.", StatusView, ())},
            "/tenant-check": {"get": _operation("checkTenant", "Check the tenant.", ChecksView, ())},
            "/unreadable": {"get": _unreadable()},
        },
        "components": {"schemas": {**answers["$defs"], **requests["$defs"], "Refusal": refusal}},
    }


def _ref(model: type[BaseModel]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}}


def _operation(
    name: str,
    summary: str,
    answer: type[BaseModel],
    refusals: tuple[int, ...],
    parameters: list[dict[str, Any]] | None = None,
    body: type[BaseModel] | None = None,
    status: int = 200,
) -> dict[str, Any]:
    refusal = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}}
    statuses = (*refusals, 401, 403, 413, 503, *((415,) if body is not None else ()))
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": summary,
        "responses": {
            str(status): {"description": "Done", **_ref(answer)},
            **{str(status): {"description": "Refused; the code says why", **refusal} for status in sorted(statuses)},
        },
    }
    if parameters:
        operation["parameters"] = parameters
    if body is not None:
        operation["requestBody"] = {"required": True, **_ref(body)}
    return operation


def _query(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


_GUEST = {
    "name": "guest",
    "in": "path",
    "required": True,
    "description": "Guest key",
    "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
}


_CONNECTION = {
    "name": "connection",
    "in": "path",
    "required": True,
    "description": "Name of a connection",
    "schema": {"type": "string", "minLength": 1, "maxLength": 100},
}
_BATCH = {
    "name": "batch",
    "in": "path",
    "required": True,
    "description": "Id of a batch",
    "schema": {"type": "string", "minLength": 1, "maxLength": 100},
}


def _list() -> dict[str, Any]:
    parameters = [
        _query("view", "Under which head; without q the default is held", type="string", enum=[v.value for v in View]),
        _query("domain", "Only people of this domain", type="string", pattern="^[^\\s/@]{1,253}$"),
        _query("q", "Beginning of a term that is looked for", type="string", minLength=1, maxLength=200),
        _query("in", "What the term is; default: anything", type="string", enum=[kind.value for kind in Kind]),
        _query("limit", "People in the answer", type="integer", minimum=1, maximum=200, default=50),
        _query("after", "What the answer before gave as next", type="string", maxLength=1024, pattern="^[ -~]+$"),
    ]
    return _operation("listPeople", "List or search people.", PeopleView, (400,), parameters)


def _bulk() -> dict[str, Any]:
    summary = "Act on many people: up to 100 named ones, or one page of a view. Every person has a result."
    return _operation("actOnPeople", summary, Results, (400,), body=BulkRequest)


def _explain() -> dict[str, Any]:
    summary = "Explain one person: every share with its reason, and the history."
    operation = _operation("explainPerson", summary, ExplainedView, (404,), [_GUEST])
    operation["responses"]["200"]["headers"] = {
        "ETag": {"description": "The person's version, for If-Match", "schema": {"type": "string"}}
    }
    return operation


def _action(name: str) -> dict[str, Any]:
    match = {
        "name": "If-Match",
        "in": "header",
        "required": True,
        "description": "The version that was seen; * for any. 409 tells the present state when it is another.",
        "schema": {"type": "string", "minLength": 1},
    }
    return _operation(f"{name}Person", _ACTIONS[name], PersonView, (400, 404, 409, 428), [_GUEST, match], ActionRequest)


def _maps() -> dict[str, Any]:
    return _operation("listAccountMaps", "List the account maps; ?format=csv exports them.", MapsView, ())


def _change_maps() -> dict[str, Any]:
    summary = "Show what a CSV would change; with `confirm`, change it and move the shares. A faulty file is 422."
    return _operation("changeAccountMaps", summary, PlanView, (400, 409, 422), body=MapRequest)


def _scan() -> dict[str, Any]:
    summary = "Scan an account for existing shares; while a scan runs, the answer is that one."
    return _operation("startScan", summary, OutcomesView, (404, 409), [_CONNECTION], Empty, status=202)


def _upload() -> dict[str, Any]:
    summary = "Take a file of existing shares. It is checked whole: 422 lists every fault, and nothing was taken."
    parameters = [_CONNECTION, _query("asOf", "When they were seen to be shared", type="string", format="date-time")]
    operation = _operation("uploadShares", summary, OutcomesView, (400, 404, 415, 422), parameters, status=202)
    kinds = {"text/csv": {"schema": {"type": "string"}}, "application/x-ndjson": {"schema": {"type": "string"}}}
    return {**operation, "requestBody": {"required": True, "content": kinds}}


def _cancel() -> dict[str, Any]:
    return _operation("cancelBatch", "Stop a batch.", OutcomesView, (404,), [_BATCH], Empty)


def _unreadable() -> dict[str, Any]:
    operation = _operation("listUnreadable", "List what could not be read.", ChecksView, ())
    operation["responses"]["200"]["content"]["application/json"]["schema"] = {
        "type": "object",
        "required": ["unreadable"],
        "properties": {"unreadable": {"type": "array", "items": {"type": "object"}}},
    }
    return operation
