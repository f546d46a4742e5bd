"""By which terms a person is found: a term is found by its beginning, in any letter case."""

import re
import unicodedata
from collections.abc import Iterator
from enum import StrEnum

from shared.domain.addresses import domain_of
from shared.domain.guests import Guest
from shared.domain.shares import Share

_LONGEST = 80  # characters of a term that count
_WORDS = 4  # of a name


class Kind(StrEnum):
    """What is searched for."""

    PERSON = "person"
    DOMAIN = "domain"
    ITEM = "item"
    CONNECTION = "connection"
    SHARER = "sharer"


def fold(text: str) -> str:
    """Return the one spelling under which a term is kept and looked for."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())[:_LONGEST]


def guest_terms(guest: Guest) -> set[tuple[Kind, str]]:
    """Return the terms of a person: the address, its domain, the name and each word of it."""
    terms = {(Kind.PERSON, term) for term in _words(guest.name or "")}
    if guest.address:
        terms |= {(Kind.PERSON, fold(guest.address)), (Kind.DOMAIN, fold(domain_of(guest.address)))}
    return terms


def share_terms(share: Share) -> set[tuple[Kind, str]]:
    """Return the terms of a share: the item's path, its name and each word of it, the connection, who shared it."""
    terms = {(Kind.CONNECTION, fold(share.connection))} if share.claims else set()
    if share.item and share.item.path:
        name = share.item.path.rstrip("/").rpartition("/")[2]
        terms |= {(Kind.ITEM, fold(share.item.path)), *((Kind.ITEM, term) for term in _words(name))}
    terms |= {(Kind.SHARER, fold(claim.sharer.address)) for claim in share.claims.values() if claim.sharer.address}
    return terms


def _words(name: str) -> Iterator[str]:
    whole = fold(name)
    if whole:
        yield whole
        yield from filter(None, re.split(r"[\s._-]+", whole)[:_WORDS])
