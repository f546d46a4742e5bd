"""A whole world in memory for the workflows: the same workflow code as in production, over ports that can be stopped
before every single effect. Its tenant keeps SharePoint's rules that matter here: inheritance ends with a copy at the
first permission of an item, a permission given before acceptance vanishes, a person's entry has one id everywhere."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from shared.domain.connections import Connection, Destination, Route
from shared.domain.events import Change, Item, Principal, ShareEvent, Sharer
from shared.domain.grants import Permission
from shared.domain.identity import Accepted, Account, Invited, Listed, UserType
from shared.domain.mailing import Mail, MailRules
from shared.domain.messages import (
    BatchMessage,
    DeliveryMessage,
    FindFeedsMessage,
    GrantMessage,
    InvitationMessage,
    Message,
    MoveMessage,
    PollMessage,
    Queue,
    RenewMessage,
)
from shared.domain.platforms import ItemKind, Platform, Role
from shared.domain.preflight import Tenant as TenantSettings
from shared.domain.trouble import PASSING_TROUBLE
from shared.sources.files import LineFiles
from shared.workflows.approvals import approve, deny
from shared.workflows.batches import run_batch
from shared.workflows.deliveries import read_delivery
from shared.workflows.feeds import find_feeds, poll_feed, renew_subscription
from shared.workflows.grants import settle_access
from shared.workflows.invitations import follow_up, poll_acceptance, work_on_invitation
from shared.workflows.maps import move_shares
from shared.workflows.ports import Ports, Timing
from shared.workflows.reconciliation import expire_shares, put_off, repair
from shared.workflows.shares import receive_share
from tests.memory import (
    Hook,
    MemoryAccountMaps,
    MemoryBatches,
    MemoryBodies,
    MemoryClock,
    MemoryFeeds,
    MemoryHistory,
    MemoryLedger,
    MemoryMarks,
    MemoryPacer,
    MemoryPermissions,
    MemoryQueues,
    MemoryReferences,
    MemoryScopes,
    MemoryWorklist,
    Waiting,
    carry_on,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
DRIVE = "library"
ITEMS = {"/a": "item-a", "/a/b": "item-b", "/c": "item-c"}


class Crash(BaseException):
    """The worker dies here."""


class Fuse:
    """Burns at the n-th effect, once."""

    def __init__(self, at: int) -> None:
        self.left, self.armed = at, True

    async def __call__(self, name: str) -> None:
        if self.armed and self.left == 0:
            self.armed = False
            raise Crash(name)
        self.left -= 1


def connection() -> Connection:
    """A SecuriSync connection whose root is the root of the library."""
    return Connection(
        id="files",
        platform=Platform.SECURISYNC,
        internal_domains=("home.example",),
        routes=(Route(source="/", drive=DRIVE),),
        secrets={},
    )


def event(
    name: str,
    at: int,
    change: Change = Change.GIVEN,
    *,
    who: str = "guest@partner.example",
    path: str = "/a",
    role: str = "View",
    preapproved: bool = False,
    expires: int | None = None,
    reference: str | None = None,
) -> ShareEvent:
    """A share event `at` minutes after the start of the world."""
    return ShareEvent(
        id=name,
        connection="files",
        change=change,
        at=START + timedelta(minutes=at),
        principal=Principal(address=who),
        role=None if change is Change.LOST else role,
        item=Item(id=ITEMS[path], kind=ItemKind.FOLDER, path=path),
        sharer=Sharer(address="sharer@home.example", may_invite=preapproved),
        expires_at=START + timedelta(minutes=expires) if expires is not None else None,
        reference=reference,
    )


class Tenant:
    """Users, invitations, mails and permissions of the destination, and the two ports that reach them."""

    def __init__(self, clock: MemoryClock, step: Hook = carry_on) -> None:
        """Begin with the items and nobody."""
        self.clock, self.step = clock, step
        self.users: dict[str, Account] = {}
        self.accepted: dict[str, datetime] = {}
        self.mails: list[str] = []
        self.letters: list[Mail] = []
        self.settings = TenantSettings()
        self.invitations: list[str] = []
        self.own: dict[str, dict[str, Role]] = {"/": {}}  # items with permissions of their own
        self.too_early = 0
        self.sharing_calls = 0

    def effective(self, path: str) -> dict[str, Role]:
        """Who has which role on an item, inherited or not."""
        while path not in self.own:
            path = path.rpartition("/")[0] or "/"
        return self.own[path]

    def accept(self, address: str) -> None:
        """The person accepts the invitation; what was given before vanishes (pnp/powershell#1112)."""
        account = self.users[address]
        if not account.pending:
            return
        self.users[address] = account.model_copy(update={"pending": False})
        self.accepted[account.object_id] = self.clock.now()
        for people in self.own.values():
            people.pop(account.object_id, None)

    async def find(self, address: str) -> Sequence[Account]:
        """Port: all accounts that have the address."""
        await self.step("directory.find")
        return [self.users[address]] if address in self.users else []

    async def invite(self, address: str, name: str | None, *, mail: bool, language: str = "en") -> Invited:
        """Port: invite; a pending guest is found again."""
        await self.step("directory.invite")
        if address not in self.users:
            self.users[address] = Account(object_id=f"id-{address}", user_type=UserType.GUEST, pending=True)
            self.invitations.append(address)
        if mail:
            self.mails.append(address)
        return Invited(invitation_id="i", object_id=self.users[address].object_id, redeem_url="https://redeem")

    async def accepted_since(self, watermark: datetime | None) -> Sequence[Accepted]:
        """Port: who accepted."""
        await self.step("directory.accepted")
        return [
            Accepted(object_id=who, changed_at=at)
            for who, at in self.accepted.items()
            if watermark is None or at >= watermark
        ]

    async def guests(self) -> Sequence[Listed]:
        """Port: all guest accounts."""
        await self.step("directory.guests")
        return [
            Listed(
                object_id=user.object_id,
                enabled=user.enabled,
                accepted=Accepted(object_id=user.object_id) if user.object_id in self.accepted else None,
            )
            for user in self.users.values()
            if user.user_type is UserType.GUEST
        ]

    async def inspect(self, sender: str | None) -> TenantSettings:
        """Port: the tenant's settings."""
        return self.settings

    async def send(self, mail: Mail) -> None:
        """Port: the sender mailbox."""
        await self.step("post.send")
        self.letters.append(mail)
        self.mails.append(mail.to)

    async def address(self, drive: str, item_id: str) -> str | None:
        """Port: the item's address in a browser."""
        return f"https://contoso.sharepoint.com{_path(item_id)}"

    async def resolve(self, place: Destination, known_id: str | None) -> str | None:
        """Port: the item's id."""
        await self.step("sites.resolve")
        return ITEMS.get(place.path)

    async def permissions(self, drive: str, item_id: str, object_id: str) -> Sequence[Permission]:
        """Port: an item's entries."""
        await self.step("sites.permissions")
        path = _path(item_id)
        return [
            Permission(id=f"p:{who}", role=role, inherited=path not in self.own, mine=who == object_id)
            for who, role in sorted(self.effective(path).items())
        ]

    async def grant(self, drive: str, item_id: str, object_id: str, role: Role) -> None:
        """Port: give a role; the first permission of an item ends inheritance with a copy."""
        await self.step("sites.grant")
        self.sharing_calls += 1
        path = _path(item_id)
        account = next(a for a in self.users.values() if a.object_id == object_id)
        self.too_early += account.pending
        self.own.setdefault(path, dict(self.effective(path)))[object_id] = role

    async def change(self, drive: str, item_id: str, permission_id: str, role: Role) -> None:
        """Port: change a role."""
        await self.step("sites.change")
        self.own[_path(item_id)][permission_id.removeprefix("p:")] = role

    async def remove(self, drive: str, item_id: str, permission_id: str) -> None:
        """Port: remove an entry."""
        await self.step("sites.remove")
        self.own[_path(item_id)].pop(permission_id.removeprefix("p:"), None)

    async def link(self, drive: str, item_id: str, object_ids: Sequence[str], role: Role) -> str:
        """Port: links are tested against the simulated tenant over HTTP."""
        raise NotImplementedError


def _path(item_id: str) -> str:
    return next(path for path, ident in ITEMS.items() if ident == item_id)


class World:
    """The ports in memory, the tenant, and a host that delivers messages one by one."""

    def __init__(
        self, step: Hook = carry_on, calls: int = 300, rules: MailRules | None = None, mails: int = 150
    ) -> None:
        """Begin with an empty ledger; `step` is awaited before every effect.

        `calls` are allowed per 5 minutes, `mails` an hour.
        """
        self.clock = MemoryClock(START + timedelta(days=1))
        self.tenant = Tenant(self.clock, step)
        self.queues = MemoryQueues(self.clock, step)
        self.ledger, self.history = MemoryLedger(step), MemoryHistory(step)
        self.worklist, self.scopes = MemoryWorklist(step), MemoryScopes(step)
        self.pacer = MemoryPacer(calls, timedelta(minutes=5), self.clock, step)
        self.ports = Ports(
            connections={"files": connection()},
            ledger=self.ledger,
            history=self.history,
            worklist=self.worklist,
            scopes=self.scopes,
            marks=MemoryMarks(step),
            references=MemoryReferences(step),
            permissions=MemoryPermissions(step),
            feeds=MemoryFeeds(step),
            batches=MemoryBatches(step),
            files=LineFiles(),
            bodies=MemoryBodies(step),
            sources={},
            queues=self.queues,
            directory=self.tenant,
            sites=self.tenant,
            pacer=self.pacer,
            clock=self.clock,
            account_maps=MemoryAccountMaps(step),
            post=self.tenant,
            postage=MemoryPacer(mails, timedelta(hours=1), self.clock, step),
            mail_rules=rules or MailRules(reminders=0, lifetime=timedelta(days=3650)),
            sender="invitations@home.example",
            timing=Timing(),
        )

    async def handle(self, message: Message, attempt: int = 0) -> None:
        """Do what the queue functions do."""
        ports = self.ports
        try:
            match message:
                case ShareEvent():
                    queue = Queue.SHARE_EVENTS
                    await receive_share(ports, message)
                case InvitationMessage():
                    queue = Queue.INVITATIONS
                    await work_on_invitation(ports, message.guest)
                case GrantMessage():
                    queue = Queue.GRANTS
                    await settle_access(ports, message)
                case MoveMessage():
                    queue = Queue.MOVES
                    await move_shares(ports, message)
                case DeliveryMessage():
                    queue = Queue.DELIVERIES
                    await read_delivery(ports, message)
                case FindFeedsMessage():
                    queue = Queue.FEEDS
                    await find_feeds(ports, message)
                case PollMessage():
                    queue = Queue.FEEDS
                    await poll_feed(ports, message)
                case RenewMessage():
                    queue = Queue.FEEDS
                    await renew_subscription(ports, message)
                case BatchMessage():
                    queue = Queue.BATCHES
                    await run_batch(ports, message)
        except PASSING_TROUBLE as trouble:
            await put_off(ports, queue, message, attempt, trouble)

    def take(self) -> Waiting | None:
        """Take the next visible message off the queues, letting time pass to the next one when none is visible."""
        if not self.queues.waiting:
            return None
        first = min(self.queues.waiting, key=lambda waiting: waiting.visible_at)
        self.clock.at = max(self.clock.at, first.visible_at)
        self.queues.waiting.remove(first)
        return first

    async def drain(self) -> None:
        """Deliver messages until none is left; one whose worker dies comes back when its lease has ended."""
        while (waiting := self.take()) is not None:
            try:
                await self.handle(waiting.body, waiting.attempt)
            except Crash:
                self.queues.waiting.append(replace(waiting, visible_at=self.clock.now() + timedelta(minutes=10)))

    async def settle(self) -> None:
        """Let everything come to rest: messages, acceptance polls, expiry."""
        await self.drain()
        await poll_acceptance(self.ports)
        await expire_shares(self.ports)
        await follow_up(self.ports)
        await self.drain()

    async def repair(self) -> None:
        """Let the reconciler run, and what follows from it."""
        await repair(self.ports)
        await self.drain()

    async def approve(self, key: str) -> None:
        """An administrator approves."""
        await approve(self.ports, key, "admin")

    async def deny(self, key: str) -> None:
        """An administrator denies."""
        await deny(self.ports, key, "admin", "no")

    def access(self) -> dict[tuple[str, str], Role]:
        """Who really reaches what: (address, path) -> role, inherited or not."""
        names = {account.object_id: address for address, account in self.tenant.users.items()}
        return {
            (names.get(who, who), path): role for path in ITEMS for who, role in self.tenant.effective(path).items()
        }

    def state(self) -> str:
        """Everything that can matter to what happens next, as text; for telling two worlds apart."""
        rows = [
            (key, book.guest, sorted(book.shares.items()), sorted(book.grants.items()), sorted(book.outbox.items()))
            for key, book in sorted(self.ledger.partitions.items())
        ]
        tenant = (
            sorted(self.tenant.users.items()),
            sorted((path, sorted(people.items())) for path, people in self.tenant.own.items()),
            self.tenant.mails,
        )
        messages = sorted(f"{w.queue} {w.body.model_dump_json()} {w.visible_at}" for w in self.queues.waiting)
        listed = sorted(self.worklist.rows.items(), key=str)
        return repr((rows, tenant, messages, listed, sorted(self.scopes.rows.items()), self.clock.at))


type Act = Callable[[World], Awaitable[None]]
