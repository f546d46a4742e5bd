"""The function app: registers the entrances of `functions/`, nothing else."""

import azure.functions as func

from functions import (
    access_requests,
    account_maps,
    assets,
    batches,
    deliveries,
    grants,
    health,
    invitations,
    moves,
    openapi,
    poison,
    reconciliation,
    shares,
    sources,
    tenant_check,
)

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
for entrance in (deliveries, sources, shares, invitations, grants, moves, reconciliation, poison):
    app.register_functions(entrance.blueprint)
for console in (access_requests, account_maps, batches, tenant_check, health, openapi, assets):
    app.register_functions(console.blueprint)
