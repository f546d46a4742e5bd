"""The CSV of account maps is read whole or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.connections import Connection, Route
from shared.domain.maps import MOST_LINES, Change, FaultyFileError, Mapped, fingerprint, read_csv, write_csv
from shared.domain.platforms import Platform

HEAD = "connection,source,destination\n"
CONNECTIONS = ("box", "files")


def faults(text: str) -> list[tuple[int, str]]:
    with pytest.raises(FaultyFileError) as caught:
        read_csv(text, CONNECTIONS)
    return caught.value.faults


def test_a_good_file_is_read() -> None:
    text = (
        "\ufeffConnection, Source ,destination\r\nbox,Ann@Old.example,ann@new.example\r\n\r\n"
        "files,x@y.example,EXCLUDE\r\nbox,b@c.example,\r\n"
    )
    assert read_csv(text, CONNECTIONS) == [
        Mapped(connection="box", source="ann@old.example", destination="ann@new.example"),
        Mapped(connection="files", source="x@y.example", destination=None),
        Mapped(connection="box", source="b@c.example", destination="b@c.example"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "no entry"),
        (HEAD, 1, "no entry"),
        ("source,destination\na@b.c,d@e.f\n", 1, "the first line must be connection,source,destination"),
        (HEAD + "box,a@b.example\n", 2, "2 columns instead of 3"),
        (HEAD + "box,a@b.example,c@d.example,x\n", 2, "4 columns instead of 3"),
        (HEAD + "boxx,a@b.example,c@d.example\n", 2, "no connection of the name 'boxx'"),
        (HEAD + "box,nobody,c@d.example\n", 2, "the source 'nobody' is not an e-mail address"),
        (HEAD + "box,a@b.example,somewhere\n", 2, "neither an e-mail address nor 'exclude'"),
        (HEAD + "box,a@b.example,c@d.example\nbox,A@B.example,e@f.example\n", 3, "stands in line 2 already"),
        (HEAD + 'box,"a@b.example,c@d.example\n', 2, "not CSV"),
    ],
)
def test_a_fault_is_named_with_its_line(text: str, line: int, said: str) -> None:
    ((where, sentence),) = faults(text)
    assert where == line
    assert said in sentence


def test_every_fault_is_named_and_lines_within_quotes_are_counted() -> None:
    found = faults(HEAD + 'box,"a\n@b",x\nbox,a@b.example,c@d.example\nfiles,nobody,x@y.example\n')
    assert [line for line, _ in found] == [3, 5]


def test_too_many_entries_are_refused() -> None:
    rows = "".join(f"box,a{number}@b.example,c@d.example\n" for number in range(MOST_LINES + 1))
    assert "divide the file" in faults(HEAD + rows)[0][1]


LOCAL = st.text("abcxyz019._=+-'", min_size=1, max_size=12)


@given(LOCAL, LOCAL, st.booleans())
def test_what_is_written_is_read_back_and_is_no_formula(source: str, destination: str, excluded: bool) -> None:
    try:
        entries = read_csv(f'{HEAD}box,"{source}@a.example","{destination}@b.example"\n', CONNECTIONS)
    except FaultyFileError:
        return  # not an address
    if excluded:
        entries = [entry.model_copy(update={"destination": None}) for entry in entries]
    text = write_csv(entries)
    assert read_csv(text, CONNECTIONS) == entries
    for line in text.splitlines()[1:]:
        assert not any(cell[:1] in ("=", "+", "-", "@") for cell in line.split(","))


def test_an_entry_leads_to_one_partition_and_a_confirmation_is_for_what_was_shown() -> None:
    excluded = Mapped(connection="box", source="a@b.example", destination=None)
    itself = Mapped(connection="box", source="a@b.example", destination="a@b.example")
    assert excluded.key == itself.key
    change = Change.of(excluded, None)
    assert (change.before, change.after) == ("a@b.example", None)
    assert fingerprint([change]) != fingerprint([Change.of(itself, excluded)])
    connection = Connection(
        id="box",
        platform=Platform.BOX,
        internal_domains=("home.example",),
        routes=(Route(source="/", drive="d"),),
        secrets={},
    )
    assert excluded.lead(connection).account_map == {"a@b.example": None}
