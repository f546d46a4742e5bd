"""The function app: registers the entrances of `functions/`, nothing else."""

import azure.functions as func

from functions import access_requests, batches, deliveries, grants, invitations, poison, reconciliation, shares, sources

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
for entrance in (deliveries, sources, shares, invitations, grants, reconciliation, poison, access_requests, batches):
    app.register_functions(entrance.blueprint)
