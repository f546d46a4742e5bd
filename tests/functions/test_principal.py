"""Nobody reads or reviews access requests unless App Service says who it is, or a developer's own machine does."""

import base64
import json
from typing import Any

import azure.functions as func
import pytest

from functions.principal import READ_ROLE, REVIEW_ROLE, Caller, ForbiddenError, caller
from shared.settings import Settings

BASE = {"AzureWebJobsStorage": "UseDevelopmentStorage=true", "GUESTPASS_ACCEPTANCE_SCHEDULE": "0 * * * * *"}


def settings(**values: str) -> Settings:
    return Settings.model_validate(BASE | values)


def request(principal: object = None, raw: str | None = None) -> func.HttpRequest:
    headers = {}
    if principal is not None:
        headers["X-MS-CLIENT-PRINCIPAL"] = base64.b64encode(json.dumps(principal).encode()).decode()
    if raw is not None:
        headers["X-MS-CLIENT-PRINCIPAL"] = raw
    return func.HttpRequest("GET", "/", headers=headers, body=b"")


def principal(*roles: str, **more: Any) -> dict[str, Any]:
    claims = [{"typ": "roles", "val": role} for role in roles]
    return {"auth_typ": "aad", "claims": [*claims, {"typ": "preferred_username", "val": "eve@home.example"}], **more}


def test_a_reviewer_signed_in_at_app_service_is_let_in() -> None:
    on = settings(WEBSITE_AUTH_ENABLED="True", WEBSITE_INSTANCE_ID="1")
    assert caller(request(principal(REVIEW_ROLE)), on) == Caller("eve@home.example", reviews=True)
    assert caller(request(principal(READ_ROLE)), on) == Caller("eve@home.example", reviews=False)
    assert caller(request(principal(READ_ROLE, REVIEW_ROLE)), on).reviews
    renamed = principal(role_typ="http://schemas/role")
    renamed["claims"].append({"typ": "http://schemas/role", "val": REVIEW_ROLE})
    assert caller(request(renamed), on).reviews


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (request(), 401),
        (request(raw="not base64!"), 401),
        (request(raw="bm90IGpzb24="), 401),
        (request([]), 401),
        (request({"claims": "x"}), 401),
        (request({"claims": [{"typ": "roles"}]}), 401),
        (request(principal()), 403),
        (request(principal("AccessRequests.Write")), 403),
        (request(principal(REVIEW_ROLE.lower())), 403),
    ],
)
def test_everybody_else_is_refused(asked: func.HttpRequest, status: int) -> None:
    with pytest.raises(ForbiddenError) as caught:
        caller(asked, settings(WEBSITE_AUTH_ENABLED="True", WEBSITE_INSTANCE_ID="1"))
    assert caught.value.status == status


@pytest.mark.parametrize("values", [{}, {"WEBSITE_INSTANCE_ID": "1"}, {"WEBSITE_POD_NAME": "1"}])
def test_without_authentication_a_header_is_not_trusted(values: dict[str, str]) -> None:
    with pytest.raises(ForbiddenError) as caught:
        caller(request(principal(REVIEW_ROLE)), settings(**values))
    assert caught.value.status == 401


def test_a_development_principal_must_be_named() -> None:
    assert caller(request(), settings(GUESTPASS_DEVELOPMENT_PRINCIPAL="me")) == Caller("me", reviews=True)
    only_reads = settings(GUESTPASS_DEVELOPMENT_PRINCIPAL=f"me ({READ_ROLE})")
    assert caller(request(), only_reads) == Caller("me", reviews=False)
