"""Control of the tenant by the demo and the tests: build a world, change it, watch it."""

import functools
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web
from pydantic import Field, ValidationError

from local.tenant import directory, sharing
from local.tenant.errors import GraphError
from local.tenant.server import TENANT, Fault, Tenant
from local.tenant.shapes import new_item_id
from local.tenant.sharing import Place
from local.tenant.state import Drive, Entry, ExternalUserState, Group, Item, ItemKind, User, Wire, World, iso


class SeedUser(Wire):
    """An account; what is absent is made up the way the directory does it."""

    id: str | None = None
    mail: str
    user_principal_name: str | None = None
    user_type: str = "Guest"
    display_name: str | None = None
    external_user_state: ExternalUserState | None = None
    other_mails: list[str] | None = None
    proxy_addresses: list[str] | None = None
    account_enabled: bool = True


class SeedItem(Wire):
    """A file or folder; missing parents are made."""

    path: str
    kind: ItemKind = "folder"
    id: str | None = None


class SeedDrive(Wire):
    """A document library."""

    id: str
    name: str
    root_id: str | None = None
    items: tuple[SeedItem, ...] = ()


class SeedPermission(Wire):
    """A role of a user (id or address) on the item at a path, given as Graph's invite would."""

    drive: str
    path: str
    user: str
    role: str


class SeedGroup(Wire):
    """A group of the directory; the members are ids of users and of groups."""

    id: str
    display_name: str
    members: list[str]


class Seed(Wire):
    """A whole world; `policies` are settings."""

    users: tuple[SeedUser, ...] = ()
    drives: tuple[SeedDrive, ...] = ()
    permissions: tuple[SeedPermission, ...] = ()
    groups: tuple[SeedGroup, ...] = ()
    verified_domains: list[str] | None = None
    policies: dict[str, Any] = Field(default_factory=dict)


class ItemChange(Wire):
    """Items to add to a drive, and items (paths or ids) to delete from it."""

    drive: str
    add: tuple[SeedItem, ...] = ()
    delete: tuple[str, ...] = ()


class Acceptance(Wire):
    """A person accepts the invitation sent to `mail`, perhaps signed in as another `account`."""

    mail: str
    account: str | None = None


class Advance(Wire):
    """Move the tenant's clock forward."""

    seconds: float = Field(gt=0)


def _user(world: World, seed: SeedUser, now: float) -> User:
    upn = seed.user_principal_name
    if upn is None:
        upn = directory.guest_upn(seed.mail, world.settings.initial_domain) if seed.user_type == "Guest" else seed.mail
    return User(
        id=seed.id or str(uuid.uuid4()),
        mail=seed.mail,
        user_principal_name=upn,
        user_type=seed.user_type,
        display_name=seed.display_name or seed.mail.partition("@")[0],
        external_user_state=seed.external_user_state,
        state_changed=now if seed.external_user_state else None,
        other_mails=[] if seed.other_mails is None else seed.other_mails,
        proxy_addresses=[f"SMTP:{seed.mail}"] if seed.proxy_addresses is None else seed.proxy_addresses,
        account_enabled=seed.account_enabled,
        creation_type="Invitation" if seed.external_user_state else None,
        created=now,
        seen_in_directory_from=now,
        seen_in_sharepoint_from=now,
    )


def _drive(seed: SeedDrive, now: float) -> Drive:
    drive = Drive(seed.id, seed.name, seed.root_id or new_item_id())
    owners = f"{seed.name} Owners"
    key = sharing.group_permission_id(owners)
    drive.add(Item(drive.root_id, "root", "folder", None, now, entries={key: Entry(key, "owner", group=owners)}))
    for item in seed.items:
        _add_item(drive, item, now)
    return drive


def _add_item(drive: Drive, seed: SeedItem, now: float) -> None:
    *folders, name = [part for part in seed.path.split("/") if part]
    parent = drive.root
    for folder in folders:
        parent = drive.find(folder, parent) or drive.add(Item(new_item_id(), folder, "folder", parent.id, now))
    existing = drive.find(name, parent)
    if existing is None:
        drive.add(Item(seed.id or new_item_id(), name, seed.kind, parent.id, now))
    elif seed.id not in (None, existing.id):
        raise web.HTTPConflict(text=f"{seed.path} exists with another id")


def _drive_of(world: World, identifier: str) -> Drive:
    drive = world.drives.get(identifier)
    if drive is None:
        raise web.HTTPNotFound(text=f"no drive {identifier}")
    return drive


def _item_of(drive: Drive, path_or_id: str) -> Item:
    item = drive.items.get(path_or_id) or drive.find(path_or_id)
    if item is None:
        raise web.HTTPNotFound(text=f"no item {path_or_id}")
    return item


def build(tenant: Tenant, seed: Seed) -> None:
    """Replace the world by the seed's."""
    tenant.reset()
    policies = dict(seed.policies)
    if seed.verified_domains is not None:
        policies["verifiedDomains"] = seed.verified_domains
    tenant.configure(policies)
    world, now = tenant.world, tenant.clock.now()
    for user in seed.users:
        world.keep(_user(world, user, now))
    for group in seed.groups:
        world.groups[group.id] = Group(group.id, group.display_name, group.members)
    for drive in seed.drives:
        world.drives[drive.id] = _drive(drive, now)
    for permission in seed.permissions:
        holder = world.users.get(permission.user) or world.user_by_address(permission.user)
        if holder is None:
            raise web.HTTPNotFound(text=f"no user {permission.user}")
        target = _drive_of(world, permission.drive)
        sharing.grant(Place(target, _item_of(target, permission.path)), holder, permission.role)


def permissions(tenant: Tenant, *, own_only: bool) -> list[dict[str, Any]]:
    """Who holds what, over all drives."""
    now = iso(tenant.clock.now())
    return [
        row
        for drive in tenant.world.drives.values()
        for item in drive.items.values()
        for row in sharing.held(tenant.world, Place(drive, item), now, own_only=own_only)
    ]


def state(tenant: Tenant) -> dict[str, Any]:
    """The world as one JSON document."""
    world = tenant.world
    return {
        "now": iso(tenant.clock.now()),
        "settings": world.settings.model_dump(by_alias=True),
        "users": [
            {**directory.UserRow(user), "number": user.number, "redeemedBy": user.redeemed_by}
            for user in world.users.values()
        ],
        "invitations": [
            {
                "id": invitation.id,
                "invitedUserId": invitation.user_id,
                "mail": invitation.mail,
                "mailSent": invitation.mail_sent,
                "created": iso(invitation.created),
            }
            for invitation in world.invitations
        ],
        "invitationCounts": Counter(invitation.mail.lower() for invitation in world.invitations),
        "mails": [{**asdict(mail), "sent": iso(mail.sent)} for mail in world.mails],
        "mailCounts": Counter(mail.to.lower() for mail in world.mails),
        "drives": [{"id": drive.id, "name": drive.name, "rootId": drive.root_id} for drive in world.drives.values()],
        "items": [
            {
                "drive": drive.id,
                "id": item.id,
                "path": drive.path(item),
                "kind": item.kind,
                "unique": item.entries is not None,
                "groups": [entry.group for entry in (item.entries or {}).values() if entry.group],
            }
            for drive in world.drives.values()
            for item in drive.items.values()
        ],
        "permissions": permissions(tenant, own_only=False),
        "faults": [{**fault.model_dump(by_alias=True, mode="json"), "times": left} for fault, left in tenant.faults],
    }


Handler = Callable[[Tenant, web.Request], Awaitable[dict[str, Any]]]


def _json(handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Answer JSON; a request that does not validate is 422 with the reason."""

    @functools.wraps(handler)
    async def handle(request: web.Request) -> web.Response:
        tenant = request.app[TENANT]
        try:
            answer = await handler(tenant, request)
            tenant.notifier.tell(tenant.world, tenant.registration.tenant_id)
            return web.json_response(answer)
        except ValidationError as error:
            return web.json_response({"error": error.errors(include_url=False, include_context=False)}, status=422)
        except GraphError as error:
            return web.json_response({"error": error.message}, status=error.status)

    return handle


async def _seed(tenant: Tenant, request: web.Request) -> dict[str, Any]:
    build(tenant, Seed.model_validate(await request.json()))
    return {"users": len(tenant.world.users), "drives": len(tenant.world.drives)}


async def _settings(tenant: Tenant, request: web.Request) -> dict[str, Any]:
    tenant.configure(await request.json())
    return tenant.world.settings.model_dump(by_alias=True)


async def _clock(tenant: Tenant, request: web.Request) -> dict[str, Any]:
    tenant.clock.offset += Advance.model_validate(await request.json()).seconds
    return {"now": iso(tenant.clock.now())}


async def _items(tenant: Tenant, request: web.Request) -> dict[str, Any]:
    change = ItemChange.model_validate(await request.json())
    drive = _drive_of(tenant.world, change.drive)
    for gone in change.delete:
        drive.remove(_item_of(drive, gone))
    for item in change.add:
        _add_item(drive, item, tenant.clock.now())
    return {"items": len(drive.items)}


async def _accept(tenant: Tenant, request: web.Request) -> dict[str, Any]:
    acceptance = Acceptance.model_validate(await request.json())
    user = tenant.world.user_by_address(acceptance.mail)
    if user is None:
        raise web.HTTPNotFound(text=f"nobody invited {acceptance.mail}")
    directory.accept(tenant.world, user, tenant.clock.now(), acceptance.account)
    return {"id": user.id, "externalUserState": user.external_user_state}


async def _faults(tenant: Tenant, request: web.Request) -> dict[str, Any]:
    fault = Fault.model_validate(await request.json())
    tenant.faults.append((fault, fault.times))
    return {"queued": len(tenant.faults)}


async def _state(tenant: Tenant, _: web.Request) -> dict[str, Any]:
    return state(tenant)


async def _permissions(tenant: Tenant, _: web.Request) -> dict[str, Any]:
    return {"value": permissions(tenant, own_only=True)}


async def _exchanges(tenant: Tenant, request: web.Request) -> dict[str, Any]:
    since = int(request.query.get("since", "0"))
    return {"value": [exchange for exchange in tenant.exchanges if exchange["n"] > since]}


async def _forget_exchanges(tenant: Tenant, _: web.Request) -> dict[str, Any]:
    tenant.exchanges.clear()
    return {}


def add_routes(app: web.Application) -> None:
    """Put the control interface under /control."""
    app.router.add_post("/control/seed", _json(_seed))
    app.router.add_post("/control/settings", _json(_settings))
    app.router.add_post("/control/clock", _json(_clock))
    app.router.add_post("/control/items", _json(_items))
    app.router.add_post("/control/accept", _json(_accept))
    app.router.add_post("/control/faults", _json(_faults))
    app.router.add_get("/control/state", _json(_state))
    app.router.add_get("/control/permissions", _json(_permissions))
    app.router.add_get("/control/exchanges", _json(_exchanges))
    app.router.add_delete("/control/exchanges", _json(_forget_exchanges))
