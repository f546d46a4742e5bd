"""When and how people are mailed: which kind of mail, in which language, at which hours, how often, for how long."""

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from pydantic import Field

from shared.domain.platforms import Role
from shared.domain.value import Value


class MailKind(StrEnum):
    """Who writes the invitation's mail."""

    MICROSOFT = "microsoft"  # the stock mail that Entra sends with the invitation
    OWN = "own"  # one mail of our own from the sender mailbox
    NONE = "none"  # nobody: the company tells its partners itself


class Letter(StrEnum):
    """Which mail a person is owed."""

    INVITATION = "invitation"
    REMINDER = "reminder"
    AGAIN = "again"  # an administrator asked for it


class WaitingItem(Value):
    """Something that waits for the person: where it lay at the source, and what they will be able to do."""

    path: str
    role: Role
    sharer: str | None = None


class Mail(Value):
    """A mail of our own to one person. The redeem URL holds a ticket: never log it."""

    letter: Letter
    to: str
    name: str | None
    language: str
    redeem_url: str = Field(repr=False)
    items: tuple[WaitingItem, ...]
    more: int = 0  # items that wait besides those listed
    expires_on: str | None = None


class QuietHours(Value):
    """No mail leaves between `start` and `end`, by the clock of `zone` (IANA); they may span midnight."""

    start: time
    end: time
    zone: str = "UTC"

    def left(self, now: datetime) -> timedelta:
        """Return how long the quiet hours still last; zero outside of them."""
        local = now.astimezone(ZoneInfo(self.zone))
        clock = local.time()
        within = self.start <= clock < self.end if self.start <= self.end else clock >= self.start or clock < self.end
        if not within:
            return timedelta(0)
        day = local.date() if clock < self.end else local.date() + timedelta(days=1)
        return datetime.combine(day, self.end, local.tzinfo) - local


class MailRules(Value):
    """The company's rules. `languages` maps a domain, or an ending that begins with a dot, to a language.

    A reminder follows `remind_after` the last mail, at most `reminders` times. An invitation lasts for `lifetime`.
    """

    kind: MailKind = MailKind.MICROSOFT
    language: str = "en"
    languages: Mapping[str, str] = Field(default={})
    quiet_hours: QuietHours | None = None
    remind_after: timedelta = timedelta(days=7)
    reminders: int = Field(default=1, ge=0)
    lifetime: timedelta = timedelta(days=30)

    def language_of(self, domain: str) -> str:
        """Return the language for people of a domain: its own, else that of the longest ending that fits."""
        if domain in self.languages:
            return self.languages[domain]
        endings = [ending for ending in self.languages if ending.startswith(".") and domain.endswith(ending)]
        return self.languages[max(endings, key=len)] if endings else self.language

    def quiet(self, now: datetime) -> timedelta:
        """Return how long no mail may leave; zero when one may."""
        return self.quiet_hours.left(now) if self.quiet_hours else timedelta(0)

    def due(self, valid_from: datetime, mailed_at: datetime | None, reminders: int) -> datetime:
        """Return when something is to be done about an invitation that nobody accepts: a reminder, or its end."""
        end = valid_from + self.lifetime
        if mailed_at is None or reminders >= self.reminders or self.kind is MailKind.NONE:
            return end
        return min(end, mailed_at + self.remind_after)
