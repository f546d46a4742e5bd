"""A connection: one configured source account, with its routes and the policy that applies to it."""

from typing import Annotated, Self

from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from shared.domain.addresses import InvalidAddressError, domain_of, normalise
from shared.domain.platforms import ItemKind, Platform, Role
from shared.domain.reasons import Reason
from shared.domain.value import Value

# " * : < > ? \ | cannot stand in a SharePoint name (Microsoft, "Restrictions and limitations in OneDrive").
_FORBIDDEN_IN_NAMES = frozenset('"*:<>?\\|')

Address = Annotated[str, AfterValidator(normalise)]
Domain = Annotated[str, AfterValidator(lambda text: text.strip().lower().removeprefix("@"))]


def _segments(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment]


def _is_beneath(path: list[str], folder: list[str]) -> bool:
    """Tell whether `path` is `folder` or lies beneath it. Neither SharePoint nor the sources mind letter case."""
    return [s.casefold() for s in path[: len(folder)]] == [s.casefold() for s in folder]


class Destination(Value):
    """A place at the destination: a path inside a SharePoint drive (document library)."""

    drive: str
    path: str

    def covers(self, other: Self) -> bool:
        """Tell whether `other` is this place or lies beneath it."""
        return self.drive == other.drive and _is_beneath(_segments(other.path), _segments(self.path))


class Route(Value):
    """Everything beneath `source` (a path of the connection) goes beneath `path` of the drive."""

    source: str = Field(pattern="^/", description="A folder of the source; `/` is all of it")
    drive: str = Field(min_length=1, description="Id of the SharePoint document library (drive)")
    path: str = Field(pattern="^/", default="/", description="The folder in the drive")


class Policy(Value):
    """What an administrator allows beyond the platform's own rules. Every default is the most careful one."""

    allowed_domains: tuple[Domain, ...] = Field(default=(), description="When given, only these domains pass")
    denied_domains: tuple[Domain, ...] = Field(default=(), description="These domains never pass")
    denied_people: tuple[Address, ...] = Field(default=(), description="These people never pass")
    denied_sharers: tuple[Address, ...] = Field(default=(), description="What these people share never passes")
    shared_since: AwareDatetime | None = Field(default=None, description="Older shares are refused; default: none is")
    role_ceiling: Role = Field(default=Role.WRITE, description="No wider role than this is given")
    link_domains: tuple[Domain, ...] = Field(default=(), description="People of these domains get links only")
    link_people: tuple[Address, ...] = Field(default=(), description="These people get links only")
    pre_approved_sharers: tuple[Address, ...] = Field(
        default=(), description="Who holds the right to invite external users: their shares invite at once"
    )
    pre_approved_domains: tuple[Domain, ...] = Field(
        default=(), description="People of these domains are invited at once, whoever shares with them"
    )
    pre_approved: bool = Field(
        default=False, description="Everything of this connection is invited at once; default: it is held for approval"
    )
    approve_each_share: bool = Field(
        default=False, description="Hold also later shares of people who were approved or accepted, each for itself"
    )
    roles: dict[str, Role] = Field(default={}, description="Source role -> role here, also for refused roles")
    extra_scopes: tuple[ItemKind, ...] = Field(default=(), description="Kinds of item carried beyond the platform's")


class Connection(Value):
    """One source account. Secrets are not here: `secrets` names the settings that hold them."""

    id: str = Field(
        pattern="^[a-z0-9][a-z0-9-]{0,62}$", description="Name of the connection, also in its webhook address"
    )
    platform: Platform = Field(description="The source platform")
    internal_domains: tuple[Domain, ...] = Field(min_length=1, description="The company's own mail domains")
    routes: tuple[Route, ...] = Field(min_length=1, description="Where content goes, see below")
    secrets: dict[str, str] = Field(description="Name of a secret of the platform -> name of the setting holding it")
    policy: Policy = Field(default=Policy(), description="What is allowed beyond the platform's own rules, see below")
    # Not from the file: it holds the entry of the person in question, see maps.Mapped.lead. No description, no docs.
    account_map: dict[Address, Address | None] = Field(default={})
    as_is: bool = Field(default=False, description="Pass people through as guests, also when a member has the address")

    @model_validator(mode="after")
    def _routes_differ(self) -> Self:
        sources = {"/".join(_segments(route.source)).casefold() for route in self.routes}
        if len(sources) != len(self.routes):
            raise ValueError("two routes have the same source path")
        return self

    def is_internal(self, address: str) -> bool:
        """Tell whether an address, as the platform writes it, belongs to the company itself.

        Also one that is no public address but whose domain is listed, like corp.local.
        """
        if domain_of(address.strip().lower()) in self.internal_domains:
            return True
        try:
            return domain_of(normalise(address)) in self.internal_domains
        except InvalidAddressError:
            return False

    def destination_of(self, path: str) -> Destination | Reason:
        """Return where an item with this source path lies at the destination: the longest matching route decides.

        Otherwise the reason: no route matches, or a name cannot exist in SharePoint (also `.` and `..`, which could
        lead out of the route).
        """
        segments = _segments(path)
        if any(s in (".", "..") or set(s) & _FORBIDDEN_IN_NAMES for s in segments):
            return Reason.NAME_NOT_ALLOWED
        matching = [route for route in self.routes if _is_beneath(segments, _segments(route.source))]
        if not matching:
            return Reason.NO_ROUTE
        route = max(matching, key=lambda r: len(_segments(r.source)))
        rest = segments[len(_segments(route.source)) :]
        return Destination(drive=route.drive, path="/" + "/".join(_segments(route.path) + rest))
