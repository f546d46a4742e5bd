"""Pages for a person: what the tenant holds, the mailbox, and the consent page of an invitation."""

from html import escape
from urllib.parse import urlsplit

from aiohttp import web

from local.tenant import directory
from local.tenant.errors import GraphError
from local.tenant.server import TENANT, Tenant
from local.tenant.sharing import Place, effective
from local.tenant.state import Drive, Entry, Invitation, Item, User, World, iso

_STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem 1.25rem 4rem; }
nav { display: flex; gap: 1.25rem; padding-bottom: .75rem; border-bottom: 1px solid var(--line); }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
ul.tree, ul.tree ul { list-style: none; margin: 0; padding-left: 1.1rem; }
ul.tree > li { margin-left: -1.1rem; } ul.tree ul { border-left: 1px solid var(--line); }
ul.tree li { padding: .15rem 0; }
.tag { display: inline-block; border: 1px solid var(--line); border-radius: 1rem; padding: 0 .6rem; margin: .1rem .2rem;
  font-size: .85rem; }
.tag.inherited { opacity: .55; border-style: dashed; }
.quiet { opacity: .65; font-size: .9rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: inherit; }
.card { border: 1px solid var(--line); border-radius: .6rem; padding: 1rem 1.25rem; margin: 1rem 0; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .35rem .5rem;
  border-bottom: 1px solid var(--line); }
button, a.button { font: inherit; color: #fff; background: #0b5cad; border: 0; border-radius: .4rem;
  padding: .5rem 1.1rem; text-decoration: none; cursor: pointer; display: inline-block; }
input { font: inherit; padding: .4rem .6rem; width: 20rem; max-width: 100%; }
button:focus-visible, a:focus-visible, input:focus-visible { outline: 3px solid #f5a623; outline-offset: 2px; }
"""


def _page(title: str, content: str, status: int = 200) -> web.Response:
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body>"
        '<nav><a href="/">Drives</a><a href="/mailbox">Mailbox</a></nav>'
        f"<main><h1>{escape(title)}</h1>{content}</main></body></html>"
    )
    return web.Response(status=status, text=text, content_type="text/html")


def _holder(world: World, entry: Entry) -> str:
    if entry.link:
        members = ", ".join(world.users[member].mail or member for member in entry.link.members) or "nobody yet"
        who = members if entry.link.scope == "users" else entry.link.scope
        return f"{entry.link.type} link: {who}"
    if entry.user_id:
        user = world.users[entry.user_id]
        return f"{user.mail}{' (pending)' if user.pending else ''}"
    return str(entry.group)


def _tree(world: World, drive: Drive, item: Item) -> str:
    entries, inherited = effective(Place(drive, item))
    tags = "".join(
        f'<span class="tag{" inherited" if inherited else ""}" title="{"inherited" if inherited else "own"}">'
        f"{escape(_holder(world, entry))}: {escape(entry.role)}</span>"
        for entry in entries.values()
    )
    children = "".join(_tree(world, drive, child) for child in drive.children(item))
    icon = "📁" if item.kind == "folder" else "📄"
    below = f"<ul>{children}</ul>" if children else ""
    return f'<li><span aria-hidden="true">{icon}</span> {escape(item.name)} {tags}{below}</li>'


async def show_drives(request: web.Request) -> web.Response:
    """Every drive's tree with who holds which role, and the directory's guests."""
    world = request.app[TENANT].world
    drives = "".join(
        f'<h2>{escape(drive.name)}</h2><ul class="tree">{_tree(world, drive, drive.root)}</ul>'
        for drive in world.drives.values()
    )
    people = "".join(
        f"<tr><td>{escape(user.mail or '')}</td><td>{escape(user.user_type)}</td>"
        f"<td>{escape(user.external_user_state or '–')}</td>"
        f"<td>{escape(iso(user.state_changed)) if user.state_changed else '–'}</td></tr>"
        for user in world.users.values()
    )
    table = f"<h2>People</h2><table><tr><th>Address</th><th>Type</th><th>State</th><th>Since</th></tr>{people}</table>"
    key = '<p class="quiet">Solid: set on the item itself. Dashed: inherited.</p>'
    return _page("Simulated tenant", key + (drives or "<p>No drives yet.</p>") + table)


async def show_mailbox(request: web.Request) -> web.Response:
    """The mails that the tenant sent, person by person."""
    mails = request.app[TENANT].world.mails
    people = dict.fromkeys(mail.to for mail in mails)
    parts = []
    for person in people:
        cards = "".join(
            f'<div class="card"><strong>{escape(mail.subject)}</strong>'
            f'<p class="quiet">{escape(iso(mail.sent))}{escape(" from " + mail.sender if mail.sender else "")}</p>'
            + (f"<pre>{escape(mail.text)}</pre>" if mail.text else "")
            + (
                f'<a class="button" href="{escape(mail.url)}">'
                f"{'Accept invitation' if mail.kind == 'invitation' else 'Open'}</a>"
                if mail.url
                else ""
            )
            + "</div>"
            for mail in reversed(mails)
            if mail.to == person
        )
        parts.append(f"<h2>{escape(person)}</h2>{cards}")
    return _page("Mailbox", "".join(parts) or "<p>No mail yet.</p>")


def _invited(tenant: Tenant, ticket: str) -> tuple[Invitation, User]:
    for invitation in tenant.world.invitations:
        if invitation.ticket == ticket:
            return invitation, tenant.world.users[invitation.user_id]
    raise web.HTTPNotFound(text="This invitation does not exist.")


async def show_consent(request: web.Request) -> web.Response:
    """The consent page behind a redeem URL."""
    tenant = request.app[TENANT]
    ticket = request.query.get("ticket", "")
    invitation, user = _invited(tenant, ticket)
    if not user.pending:
        return _accepted(invitation)
    return _page(
        "Review permissions",
        f'<div class="card"><p><strong>{escape(tenant.world.settings.initial_domain)}</strong> would like to receive'
        " your profile data, collect and log your activity, and use them for access to shared content.</p>"
        f"<p>Invited as <strong>{escape(invitation.mail)}</strong></p>"
        f'<form method="post" action="/redeem"><input type="hidden" name="ticket" value="{escape(ticket)}">'
        '<p><label>Signed in as another account (optional)<br><input name="account" type="email"></label></p>'
        "<button>Accept</button></form></div>",
    )


async def redeem(request: web.Request) -> web.Response:
    """Accept an invitation, as the invited person or as another account."""
    tenant, form = request.app[TENANT], await request.post()
    invitation, user = _invited(tenant, str(form.get("ticket", "")))
    try:
        directory.accept(tenant.world, user, tenant.clock.now(), str(form.get("account", "")).strip() or None)
    except GraphError as error:
        return _page("Access blocked", f"<p>{escape(error.message)}</p>", error.status)
    return _accepted(invitation)


def _accepted(invitation: Invitation) -> web.Response:
    where = urlsplit(invitation.redirect_url).netloc
    return _page(
        "Invitation accepted",
        f"<p>{escape(invitation.mail)} is a guest now.</p>"
        f'<a class="button" href="{escape(invitation.redirect_url)}">Continue to {escape(where)}</a>',
    )


def add_routes(app: web.Application) -> None:
    """Put the pages at the root."""
    app.router.add_get("/", show_drives)
    app.router.add_get("/mailbox", show_mailbox)
    app.router.add_get("/redeem", show_consent)
    app.router.add_post("/redeem", redeem)
