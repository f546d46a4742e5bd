"""One spelling per mailbox."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from shared.domain.addresses import InvalidAddressError, guest_key, is_invitable, normalise


@pytest.mark.parametrize(
    ("written", "known"),
    [
        ("anna@partner.example", "anna@partner.example"),
        (" Anna@Partner.EXAMPLE ", "anna@partner.example"),
        ("anna+projekt@partner.example", "anna+projekt@partner.example"),
        ("o'brien@partner.example", "o'brien@partner.example"),
        ("jürgen@müller.example", "jürgen@xn--mller-kva.example"),
        ("ju\u0308rgen@mu\u0308ller.example", "jürgen@xn--mller-kva.example"),
        ('"anna b"@partner.example', '"anna b"@partner.example'),
    ],
)
def test_the_spelling_under_which_a_mailbox_is_known(written: str, known: str) -> None:
    assert normalise(written) == known
    assert normalise(known) == known


@pytest.mark.parametrize(
    "written",
    [
        "",
        "anna",
        "@partner.example",
        "anna@",
        "a b@c.example",
        "a@b@c.example",
        "a@-b.example",
        "a\x00@b.example",
        "\ud800@b.example",
    ],
)
def test_what_is_no_address_is_refused(written: str) -> None:
    with pytest.raises(InvalidAddressError):
        normalise(written)


def test_mailboxes_that_only_look_alike_stay_apart() -> None:
    assert normalise("straße@partner.example") != normalise("strasse@partner.example")
    assert guest_key(normalise("anna+x@partner.example")) != guest_key(normalise("anna@partner.example"))
    assert normalise("аnna@partner.example") != normalise("anna@partner.example"), "a Cyrillic a"


@pytest.mark.parametrize(
    "address",
    ["anna+x@p.example", "o'brien@p.example", "a#b@p.example", "a!b@p.example", "-anna@p.example", "anna-@p.example"],
)
def test_addresses_that_entra_cannot_invite(address: str) -> None:
    assert not is_invitable(address)


@pytest.mark.parametrize("address", ["anna@p.example", "anna.b-c_d@p.example", "_anna_@p.example"])
def test_addresses_that_entra_can_invite(address: str) -> None:
    assert is_invitable(address)


@given(st.text())
def test_any_text_is_an_address_or_is_refused(text: str) -> None:
    try:
        known = normalise(text)
    except InvalidAddressError:
        return
    assert normalise(known) == known
    assert len(guest_key(known)) == 32
