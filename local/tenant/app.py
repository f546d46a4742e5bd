"""The tenant's web application."""

from aiohttp import web

from local.tenant import control, pages
from local.tenant.server import TENANT, Tenant, issue_token, speak_graph


def create_app(identity_secret: str) -> web.Application:
    """The whole service over an empty tenant; managed identity callers must know the secret."""
    app = web.Application(client_max_size=8 * 1024**2)
    app[TENANT] = Tenant(identity_secret)
    app.router.add_get("/msi/token", issue_token)
    app.router.add_route("*", "/v1.0/{tail:.*}", speak_graph)
    control.add_routes(app)
    pages.add_routes(app)
    return app
