"""The tenant's web application."""

from aiohttp import web

from local.tenant import control, pages, source
from local.tenant.login import Registration
from local.tenant.server import TENANT, Tenant, issue_token, sign_in, speak_graph


def create_app(identity_secret: str, registration: Registration | None = None) -> web.Application:
    """The whole service over an empty tenant; managed identity callers must know the secret, apps be registered."""
    app = web.Application(client_max_size=8 * 1024**2)
    tenant = app[TENANT] = Tenant(identity_secret, registration or Registration())
    app.cleanup_ctx.append(tenant.notifier.open)
    app.router.add_post("/{tenant}/oauth2/v2.0/token", sign_in)
    app.router.add_get("/msi/token", issue_token)
    app.router.add_route("*", "/v1.0/{tail:.*}", speak_graph)
    control.add_routes(app)
    source.add_routes(app)
    pages.add_routes(app)
    return app
