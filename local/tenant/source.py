"""Control of the tenant as a source: what its people do, and what goes wrong on the way to whoever subscribed.

POST /control/act         one thing that a user does, see local/tenant/acts.py
POST /control/account     {"mail", "accountEnabled", "deleted"}: an account is blocked, or deleted
POST /control/subscribed  {"drive", "event"}: a lifecycle event; subscriptionRemoved also removes
POST /control/void        {"drive"}: delta tokens that were handed out until now are not good any more
GET  /control/deliveries  the notifications that were sent: [{"status", "address", "attempts"}, ...]
POST /control/idle        answers when no notification is on its way
"""

from aiohttp import web

from local.platforms.standin import repeats
from local.tenant.acts import Microsoft365Act, carry_out
from local.tenant.server import TENANT
from local.tenant.subscriptions import lifecycle_notification


async def _act(request: web.Request) -> web.Response:
    tenant, act = request.app[TENANT], Microsoft365Act.parse(await request.json())
    carry_out(tenant.world, act, tenant.clock.now())
    tenant.notifier.tell(tenant.world, tenant.registration.tenant_id, times=len(repeats(act.notify)))
    return web.Response(status=204)


async def _account(request: web.Request) -> web.Response:
    world, body = request.app[TENANT].world, await request.json()
    user = world.user_by_address(body["mail"])
    if user is None:
        raise web.HTTPNotFound(text=f"nobody has {body['mail']}")
    user.account_enabled = body.get("accountEnabled", user.account_enabled)
    if body.get("deleted"):  # SharePoint goes on to list who was deleted
        user.seen_in_directory_from = float("inf")
    return web.Response(status=204)


async def _subscribed(request: web.Request) -> web.Response:
    tenant, body = request.app[TENANT], await request.json()
    for subscription in [one for one in tenant.world.subscriptions.values() if one.drive_id == body["drive"]]:
        if body["event"] == "subscriptionRemoved":
            del tenant.world.subscriptions[subscription.id]
        if subscription.lifecycle_notification_url:
            told = lifecycle_notification(subscription, tenant.registration.tenant_id, body["event"])
            tenant.notifier.send(subscription.lifecycle_notification_url, [told])
    return web.Response(status=204)


async def _void(request: web.Request) -> web.Response:
    drive = request.app[TENANT].world.drives[(await request.json())["drive"]]
    drive.sequence += 1
    drive.void_before = drive.sequence
    return web.Response(status=204)


async def _deliveries(request: web.Request) -> web.Response:
    return web.json_response(request.app[TENANT].notifier.deliveries)


async def _idle(request: web.Request) -> web.Response:
    await request.app[TENANT].notifier.idle()
    return web.Response(status=204)


def add_routes(app: web.Application) -> None:
    """Put the control under /control."""
    app.router.add_post("/control/act", _act)
    app.router.add_post("/control/account", _account)
    app.router.add_post("/control/subscribed", _subscribed)
    app.router.add_post("/control/void", _void)
    app.router.add_get("/control/deliveries", _deliveries)
    app.router.add_post("/control/idle", _idle)
