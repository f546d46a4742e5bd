"""The tenant check: what at the destination would make everything fail."""

import azure.functions as func

from functions.answers import document, guarded, page, wants_page
from functions.principal import Caller
from shared.domain.preflight import Check
from shared.workflows.ports import Ports
from shared.workflows.preflight import check_tenant
from shared.workflows.review import Answer

blueprint = func.Blueprint()


class ChecksView(Answer):
    """Every check."""

    checks: list[Check]


@blueprint.route("tenant-check", methods=["GET"])
async def show_tenant_check(req: func.HttpRequest) -> func.HttpResponse:
    """Check the tenant now."""

    async def work(ports: Ports, who: Caller) -> func.HttpResponse:
        checks = await check_tenant(ports)
        return page("check.html", who=who, checks=checks) if wants_page(req) else document(ChecksView(checks=checks))

    return await guarded(req, work)
