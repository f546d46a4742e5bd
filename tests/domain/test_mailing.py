"""When people are mailed, in which language, and when an invitation is looked at again."""

from datetime import UTC, datetime, time, timedelta

import pytest

from shared.domain.mailing import MailKind, MailRules, QuietHours

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("start", "end", "zone", "now", "left"),
    [
        ("20:00", "07:00", "UTC", "2026-06-01T19:59:59", 0),
        ("20:00", "07:00", "UTC", "2026-06-01T20:00:00", 11 * 3600),
        ("20:00", "07:00", "UTC", "2026-06-02T06:59:00", 60),
        ("20:00", "07:00", "UTC", "2026-06-02T07:00:00", 0),
        ("12:00", "13:00", "UTC", "2026-06-02T12:30:00", 1800),
        ("12:00", "13:00", "UTC", "2026-06-02T13:00:00", 0),
        ("20:00", "07:00", "Europe/Berlin", "2026-06-01T18:00:00", 11 * 3600),
        ("20:00", "07:00", "America/New_York", "2026-06-01T18:00:00", 0),
    ],
)
def test_quiet_hours(start: str, end: str, zone: str, now: str, left: int) -> None:
    quiet = QuietHours(start=time.fromisoformat(start), end=time.fromisoformat(end), zone=zone)
    assert quiet.left(datetime.fromisoformat(now).replace(tzinfo=UTC)) == timedelta(seconds=left)


@pytest.mark.parametrize(
    ("domain", "language"),
    [("partner.example", "fr"), ("a.de", "de"), ("a.co.de", "nl"), ("xde", "en"), ("other.example", "en")],
)
def test_the_language_is_the_domain_s_own_else_that_of_the_longest_ending(domain: str, language: str) -> None:
    rules = MailRules(languages={"partner.example": "fr", ".de": "de", ".co.de": "nl"})
    assert rules.language_of(domain) == language


@pytest.mark.parametrize(
    ("kind", "mailed_at", "reminders", "due"),
    [
        (MailKind.OWN, NOW, 0, NOW + 7 * DAY),
        (MailKind.OWN, NOW + DAY, 0, NOW + 8 * DAY),
        (MailKind.OWN, NOW, 1, NOW + 30 * DAY),
        (MailKind.OWN, NOW + 25 * DAY, 0, NOW + 30 * DAY),
        (MailKind.OWN, None, 0, NOW + 30 * DAY),
        (MailKind.NONE, NOW, 0, NOW + 30 * DAY),
    ],
)
def test_an_invitation_is_looked_at_for_the_reminder_or_its_end(
    kind: MailKind, mailed_at: datetime | None, reminders: int, due: datetime
) -> None:
    assert MailRules(kind=kind).due(NOW, mailed_at, reminders) == due
