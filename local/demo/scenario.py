"""The story of the demo: every case that a migration meets, and by hand what must come of it."""

from typing import Any

from local.demo.seven import SEVEN
from local.demo.steps import Chapter, Permission, Share, Step, Story

# --- What is at the destination before anything happens.

_USERS = (
    {"mail": "ann@contoso.com", "userType": "Member"},
    {"mail": "eva@fabrikam.example", "externalUserState": "Accepted", "otherMails": ["eva@fabrikam.example"]},
    {"mail": "nils@fabrikam.example"},  # a guest from before invitations: no state at all
    {
        "mail": "max@northwind.example",
        "userType": "Member",
        "userPrincipalName": "max_northwind.example#EXT#@contoso.onmicrosoft.com",
    },
    {"mail": "petra@fabrikam.example", "externalUserState": "PendingAcceptance"},
    {"mail": "hanna@fabrikam.example", "externalUserState": "Accepted"},
    {"mail": "nora@fabrikam.example", "externalUserState": "Accepted"},
    {"mail": "dora@fabrikam.example", "externalUserState": "Accepted", "accountEnabled": False},
    {"mail": "twin@fabrikam.example", "externalUserState": "Accepted"},
    {
        "mail": "twin@fabrikam.example",
        "userType": "Member",
        "userPrincipalName": "twin.second@contoso.onmicrosoft.com",
    },
)

# In the order in which they were given: an item stops inheriting at its own first permission.
_FOREIGN = (
    Permission("eva@fabrikam.example", "drive-legal", "/", "read", "Eva is the company's lawyer"),
    Permission("hanna@fabrikam.example", "drive-legal", "/Matters/Plans", "write", "Ann shared it long ago"),
    Permission("nora@fabrikam.example", "drive-legal", "/Matters/Budget", "read", "Ann gave less than Box gives"),
)

# --- What happens at the sources before anybody has accepted.

_FIRST = (
    Step("several shares for one person", "box", "ada@partner.example", "/Projects/Alpha", "editor", again=2),
    Step("co-owner becomes Modify", "box", "ada@partner.example", "/Projects/Beta", "co-owner"),
    Step("viewer", "box", "ada@partner.example", "/Projects/Gamma", "viewer"),
    Step("viewer uploader becomes View", "box", "ada@partner.example", "/Projects/Delta", "viewer uploader"),
    Step("previewer is refused", "box", "ada@partner.example", "/Projects/Epsilon", "previewer"),
    Step("previewer uploader is refused", "box", "ada@partner.example", "/Projects/Zeta", "previewer uploader"),
    Step("uploader is refused", "box", "ada@partner.example", "/Projects/Eta", "uploader"),
    Step("a role that Box does not have", "box", "ada@partner.example", "/Projects/Theta", "wizard"),
    Step("Box files are not carried", "box", "ada@partner.example", "/Projects/Alpha/plan.pdf", "viewer", kind="file"),
    Step("a route of its own", "box", "ada@partner.example", "/Legal/Case 7", "viewer"),
    Step("the same person elsewhere", "securisync", "ada@partner.example", "/Team/One", "Modify"),
    Step("Co-owner becomes Modify", "securisync", "ada@partner.example", "/Team/Two", "Co-owner"),
    Step("View", "securisync", "ada@partner.example", "/Team/Three", "View"),
    Step("an unknown role", "securisync", "ada@partner.example", "/Team/Four", "Emperor"),
    Step(
        "a pre-approved sharer", "box", "ben@partner.example", "/Shared/Designs", "viewer", sharer="paula@contoso.com"
    ),
    Step("files go with SecuriSync", "securisync", "ben@partner.example", "/Team/Budget.xlsx", "View", kind="file"),
    Step("a sharer who may invite", "securisync", "carla@partner.example", "/Team/Five", "Modify", may_invite=True),
    Step("nobody approves it", "box", "dan@partner.example", "/Shared/Drafts", "editor"),
    Step("never accepts", "box", "eli@partner.example", "/Shared/Drafts", "viewer", sharer="paula@contoso.com"),
    Step("the administrator denies it", "securisync", "fay@partner.example", "/Team/One", "View"),
    Step("an existing guest", "box", "eva@fabrikam.example", "/Projects/Alpha", "viewer"),
    Step("a guest without state", "securisync", "nils@fabrikam.example", "/Team/One", "View"),
    Step("an existing member", "box", "max@northwind.example", "/Projects/Alpha", "editor"),
    Step("a guest whom somebody invited before", "box", "petra@fabrikam.example", "/Shared/Designs", "editor"),
    Step("has it already", "box", "hanna@fabrikam.example", "/Legal/Plans", "viewer"),
    Step("has less, by somebody else", "box", "nora@fabrikam.example", "/Legal/Budget", "editor"),
    Step("a blocked account", "box", "dora@fabrikam.example", "/Plans", "viewer"),
    Step("two accounts fit", "box", "twin@fabrikam.example", "/Plans", "viewer"),
    Step("an internal user", "box", "ivo@contoso.com", "/Projects/Alpha", "editor"),
    Step("another internal user", "securisync", "inge@contoso.com", "/Team/One", "Modify"),
    Step("a suspended account", "box", "sue@partner.example", "/Projects/Alpha", "editor", suspended=True),
    Step("suspended there too", "securisync", "sue@partner.example", "/Team/One", "Modify", suspended=True),
    Step("a denied domain", "box", "dirk@competitor.example", "/Plans", "editor"),
    Step("excluded by the account map", "box", "exa@partner.example", "/Plans", "viewer"),
    Step("mapped to another address", "box", "mara.old@partner.example", "/Plans", "viewer"),
    Step("an address in mixed case", "box", "Jon.Mixed@Partner.Example", "/Shared/Designs", "viewer"),
    Step("the same mailbox", "securisync", "jon.mixed@partner.example", "/Team/Two", "View"),
    Step("cannot be invited", "box", "kim+box@partner.example", "/Plans", "viewer"),
    Step("a path with special characters", "box", "ben@partner.example", "/Q# 100% 🎉/Läufe", "viewer"),
    Step("a name SharePoint cannot have", "box", "ben@partner.example", "/Why?", "viewer"),
    Step("pending at Box", "box", "mo@partner.example", "/Shared/Lists", "editor", pending=True),
    Step("pending at Box for ever", "box", "nia@partner.example", "/Shared/Lists", "viewer", pending=True),
    Step("the root folder", "box", "rob@partner.example", "/", "viewer", kind="root"),
    Step("the root of a sync folder", "securisync", "rita@partner.example", "/", "View", kind="root"),
    Step("a root, for a while", "securisync", "ron@partner.example", "/", "Modify", kind="root"),
    Step("links only", "box", "gus@crossorg.example", "/Joint bid", "editor"),
    Step("links only, the same link", "box", "gia@crossorg.example", "/Joint bid", "editor"),
    Step("links only, to look", "securisync", "hal@partner.example", "/Team/Three", "View", links_only=True),
    Step("a folder", "box", "ida@partner.example", "/Campaigns", "editor"),
    Step("and a folder in it, with less", "box", "ida@partner.example", "/Campaigns/Press", "viewer"),
    Step("expired yesterday", "box", "xena@partner.example", "/Plans", "viewer", expires_in_days=-1),
    Step("expires next month", "securisync", "rita@partner.example", "/Team/Five", "Modify", expires_in_days=30),
    Step("five years old", "box", "old@partner.example", "/Shared/Designs", "viewer", shared_days_ago=5 * 365),
    Step("a group", "box", "Field team", "/Shared/Drafts", "viewer", to="group"),
    Step("a group, for a while", "box", "Auditors", "/Budget", "viewer", to="group"),
    Step("a group that Box does not show", "box", "Board", "/Plans", "viewer", to="group"),
    Step("a link for anyone", "box", "anyone", "/Shared/Designs", to="anyone"),
    Step("taken back before it is given", "box", "lea@partner.example", "/Shared/Lists", "editor", "lost", at=2),
    Step("given before, told after", "box", "lea@partner.example", "/Shared/Lists", "editor", at=1),
    Step("taken back, told first", "securisync", "lea@partner.example", "/Team/Two", "Modify", "lost", at=2, again=1),
    Step("given, told second", "securisync", "lea@partner.example", "/Team/Two", "Modify", at=1, again=1),
    Step("given for a moment", "box", "lea@partner.example", "/Plans", "viewer", at=1),
    Step("and taken back unaccepted", "box", "lea@partner.example", "/Plans", "viewer", "lost", at=2),
    Step("to be taken back after the grant", "box", "lea@partner.example", "/Projects/Beta", "editor"),
    Step("kept", "securisync", "lea@partner.example", "/Team/One", "View"),
    Step("the later role, told first", "securisync", "carla@partner.example", "/Team/One", "View", "kept", at=2),
    Step("the earlier role, told last", "securisync", "carla@partner.example", "/Team/One", "Modify", at=1),
    Step(
        *("a forged signature", "box", "mallory@evil.example", "/Projects/Alpha", "editor"),
        damage="forged signature",
        answer=(401, "signature-wrong"),
    ),
    Step(
        *("a forged signature", "securisync", "mallory@evil.example", "/Team/One", "Modify"),
        damage="forged signature",
        answer=(401, "signature-wrong"),
    ),
    Step(
        *("a stale timestamp", "box", "mallory@evil.example", "/Projects/Alpha", "editor"),
        damage="stale timestamp",
        answer=(401, "timestamp-outside-window"),
    ),
    Step(
        *("a stale timestamp", "securisync", "mallory@evil.example", "/Team/One", "Modify"),
        damage="stale timestamp",
        answer=(401, "timestamp-outside-window"),
    ),
    Step(
        *("a body that is not JSON", "box", "mallory@evil.example", "/Projects/Alpha", "editor"),
        damage="not JSON",
        answer=(400, "body-not-json"),
    ),
    Step(
        *("a body that is not JSON", "securisync", "mallory@evil.example", "/Team/One", "Modify"),
        damage="not JSON",
        answer=(400, "body-not-json"),
    ),
    Step(
        *("a field that is not in the contract", "securisync", "mallory@evil.example", "/Team/One", "Modify"),
        damage="breaks the contract",
        answer=(400, "contract-violated"),
    ),
    Step(
        *("no such connection", "box", "mallory@evil.example", "/Projects/Alpha", "editor"),
        damage="no such connection",
        answer=(404, "connection-unknown"),
    ),
)

# --- What happens afterwards.

_LATER = (
    Step("taken back after the grant", "box", "lea@partner.example", "/Projects/Beta", "editor", "lost", again=1),
    Step("a wider role", "box", "ben@partner.example", "/Shared/Designs", "editor", "kept"),
    Step("a narrower role", "securisync", "carla@partner.example", "/Team/Five", "View", "kept"),
    Step("accepted at Box", "box", "mo@partner.example", "/Shared/Lists", "editor"),
    Step("the folder is taken back, not the one in it", "box", "ida@partner.example", "/Campaigns", "editor", "lost"),
    Step("a group loses it", "box", "Auditors", "/Budget", "viewer", "lost", to="group"),
    Step("an accepted guest passes straight through", "box", "ada@partner.example", "/Campaigns", "viewer"),
    Step("the item arrives later", "securisync", "eva@fabrikam.example", "/Archive/2026", "View"),
    Step("an old delivery comes again", "box", "ada@partner.example", "/Projects/Gamma", "viewer", at=-600),
)

_LAST = (
    Step("one of two taken off a link", "box", "gia@crossorg.example", "/Joint bid", "editor", "lost"),
    Step("a root is taken back", "securisync", "ron@partner.example", "/", "Modify", "lost", kind="root"),
)

# --- What must come of it, written down by hand from the role table.

_GIVEN = (
    Permission("ada@partner.example", "drive-box", "/Projects/Alpha", "write", "Box editor"),
    Permission("ada@partner.example", "drive-box", "/Projects/Beta", "write", "Box co-owner, narrower"),
    Permission("ada@partner.example", "drive-box", "/Projects/Gamma", "read", "Box viewer"),
    Permission("ada@partner.example", "drive-box", "/Projects/Delta", "read", "Box viewer uploader, narrower"),
    Permission("ada@partner.example", "drive-legal", "/Matters/Case 7", "read", "Box viewer, the route for /Legal"),
    Permission("ada@partner.example", "drive-sync", "/SecuriSync/Team/One", "write", "SecuriSync Modify"),
    Permission("ada@partner.example", "drive-sync", "/SecuriSync/Team/Two", "write", "SecuriSync Co-owner, narrower"),
    Permission("ada@partner.example", "drive-sync", "/SecuriSync/Team/Three", "read", "SecuriSync View"),
    Permission("ada@partner.example", "drive-box", "/Campaigns", "read", "Box viewer, shared after she accepted"),
    Permission("ben@partner.example", "drive-box", "/Shared/Designs", "write", "viewer, later editor"),
    Permission("ben@partner.example", "drive-box", "/Q# 100% 🎉/Läufe", "read", "Box viewer"),
    Permission("ben@partner.example", "drive-sync", "/SecuriSync/Team/Budget.xlsx", "read", "SecuriSync View, a file"),
    Permission("carla@partner.example", "drive-sync", "/SecuriSync/Team/Five", "read", "Modify, later View"),
    Permission("carla@partner.example", "drive-sync", "/SecuriSync/Team/One", "read", "View is the later role"),
    Permission("eva@fabrikam.example", "drive-box", "/Projects/Alpha", "read", "a guest already"),
    Permission("eva@fabrikam.example", "drive-sync", "/SecuriSync/Archive/2026", "read", "the item came later"),
    Permission("nils@fabrikam.example", "drive-sync", "/SecuriSync/Team/One", "read", "a guest without state"),
    Permission("max@northwind.example", "drive-box", "/Projects/Alpha", "write", "a member already"),
    Permission("petra@fabrikam.example", "drive-box", "/Shared/Designs", "write", "invited again, accepted"),
    Permission("mara@partner.example", "drive-box", "/Plans", "read", "mara.old is mara here"),
    Permission("jon.mixed@partner.example", "drive-box", "/Shared/Designs", "read", "Box viewer"),
    Permission("jon.mixed@partner.example", "drive-sync", "/SecuriSync/Team/Two", "read", "SecuriSync View"),
    Permission("mo@partner.example", "drive-box", "/Shared/Lists", "write", "accepted at Box in the end"),
    Permission("rob@partner.example", "drive-box", "/", "read", "the whole Box account"),
    Permission("rita@partner.example", "drive-sync", "/SecuriSync", "read", "the whole sync folder"),
    Permission("rita@partner.example", "drive-sync", "/SecuriSync/Team/Five", "write", "and more on one folder"),
    Permission("gus@crossorg.example", "drive-box", "/Joint bid", "write", "Download & Upload link", link=True),
    Permission(
        "hal@partner.example", "drive-sync", "/SecuriSync/Team/Three", "read", "View & Download link", link=True
    ),
    Permission("ida@partner.example", "drive-box", "/Campaigns/Press", "read", "her own share of the folder inside"),
    Permission("old@partner.example", "drive-box", "/Shared/Designs", "read", "as far back as the share goes"),
    Permission("ola@partner.example", "drive-box", "/Shared/Drafts", "read", "in the field team"),
    Permission("pia@partner.example", "drive-box", "/Shared/Drafts", "read", "in the field team"),
    Permission("lea@partner.example", "drive-sync", "/SecuriSync/Team/One", "read", "the one share that stayed"),
)

_SHARES = (
    Share("box", "ada@partner.example", "/Projects/Alpha", "granted/direct"),
    Share("box", "ada@partner.example", "/Projects/Beta", "granted/direct"),
    Share("box", "ada@partner.example", "/Projects/Gamma", "granted/direct"),
    Share("box", "ada@partner.example", "/Projects/Delta", "granted/direct"),
    Share("box", "ada@partner.example", "/Projects/Epsilon", "refused/role-not-carried"),
    Share("box", "ada@partner.example", "/Projects/Zeta", "refused/role-not-carried"),
    Share("box", "ada@partner.example", "/Projects/Eta", "refused/role-not-carried"),
    Share("box", "ada@partner.example", "/Projects/Theta", "refused/unknown-role"),
    Share("box", "ada@partner.example", "/Projects/Alpha/plan.pdf", "ignored/unsupported-scope"),
    Share("box", "ada@partner.example", "/Legal/Case 7", "granted/direct"),
    Share("box", "ada@partner.example", "/Campaigns", "granted/direct"),
    Share("securisync", "ada@partner.example", "/Team/One", "granted/direct"),
    Share("securisync", "ada@partner.example", "/Team/Two", "granted/direct"),
    Share("securisync", "ada@partner.example", "/Team/Three", "granted/direct"),
    Share("securisync", "ada@partner.example", "/Team/Four", "refused/unknown-role"),
    Share("box", "ben@partner.example", "/Shared/Designs", "granted/direct"),
    Share("box", "ben@partner.example", "/Q# 100% 🎉/Läufe", "granted/direct"),
    Share("box", "ben@partner.example", "/Why?", "needs-attention/name-not-allowed"),
    Share("securisync", "ben@partner.example", "/Team/Budget.xlsx", "granted/direct"),
    Share("securisync", "carla@partner.example", "/Team/Five", "granted/direct"),
    Share("securisync", "carla@partner.example", "/Team/One", "granted/direct"),
    Share("box", "dan@partner.example", "/Shared/Drafts", "waiting/approval"),
    Share("box", "eli@partner.example", "/Shared/Drafts", "waiting/acceptance"),
    Share("securisync", "fay@partner.example", "/Team/One", "refused/denied"),
    Share("box", "eva@fabrikam.example", "/Projects/Alpha", "granted/direct"),
    Share("securisync", "eva@fabrikam.example", "/Archive/2026", "granted/direct"),
    Share("securisync", "nils@fabrikam.example", "/Team/One", "granted/direct"),
    Share("box", "max@northwind.example", "/Projects/Alpha", "granted/direct"),
    Share("box", "petra@fabrikam.example", "/Shared/Designs", "granted/direct"),
    Share("box", "hanna@fabrikam.example", "/Legal/Plans", "granted/already-had-access"),
    Share("box", "nora@fabrikam.example", "/Legal/Budget", "needs-attention/existing-permission"),
    Share("box", "dora@fabrikam.example", "/Plans", "needs-attention/account-disabled"),
    Share("box", "twin@fabrikam.example", "/Plans", "needs-attention/ambiguous-identity"),
    Share("box", "ivo@contoso.com", "/Projects/Alpha", "ignored/internal"),
    Share("securisync", "inge@contoso.com", "/Team/One", "ignored/internal"),
    Share("box", "sue@partner.example", "/Projects/Alpha", "ignored/suspended"),
    Share("securisync", "sue@partner.example", "/Team/One", "ignored/suspended"),
    Share("box", "dirk@competitor.example", "/Plans", "refused/domain-denied"),
    Share("box", "exa@partner.example", "/Plans", "refused/excluded"),
    Share("box", "mara.old@partner.example", "/Plans", "granted/direct"),
    Share("box", "Jon.Mixed@Partner.Example", "/Shared/Designs", "granted/direct"),
    Share("securisync", "jon.mixed@partner.example", "/Team/Two", "granted/direct"),
    Share("box", "kim+box@partner.example", "/Plans", "needs-attention/address-not-invitable"),
    Share("box", "mo@partner.example", "/Shared/Lists", "granted/direct"),
    Share("box", "nia@partner.example", None, "waiting/source-acceptance"),
    Share("box", "rob@partner.example", "/", "granted/direct"),
    Share("securisync", "rita@partner.example", "/", "granted/direct"),
    Share("securisync", "ron@partner.example", "/", "revoked/removed-at-source"),
    Share("securisync", "rita@partner.example", "/Team/Five", "granted/direct"),
    Share("box", "gus@crossorg.example", "/Joint bid", "granted/link"),
    Share("box", "gia@crossorg.example", "/Joint bid", "revoked/removed-at-source"),
    Share("securisync", "hal@partner.example", "/Team/Three", "granted/link"),
    Share("box", "ida@partner.example", "/Campaigns", "revoked/removed-at-source"),
    Share("box", "ida@partner.example", "/Campaigns/Press", "granted/direct"),
    Share("box", "xena@partner.example", "/Plans", "revoked/expired"),
    Share("box", "old@partner.example", "/Shared/Designs", "granted/direct"),
    Share("box", "ola@partner.example", "/Shared/Drafts", "granted/direct"),
    Share("box", "pia@partner.example", "/Shared/Drafts", "granted/direct"),
    Share("box", "ivo@contoso.com", "/Shared/Drafts", "ignored/internal"),
    Share("box", "quinn@partner.example", "/Budget", "revoked/removed-at-source"),
    Share("box", "Board", "/Plans", "ignored/group"),
    Share("box", "anonymous-link", "/Shared/Designs", "ignored/anonymous-link"),
    Share("box", "lea@partner.example", "/Shared/Lists", "revoked/removed-at-source"),
    Share("box", "lea@partner.example", "/Plans", "revoked/removed-at-source"),
    Share("box", "lea@partner.example", "/Projects/Beta", "revoked/removed-at-source"),
    Share("securisync", "lea@partner.example", "/Team/Two", "revoked/removed-at-source"),
    Share("securisync", "lea@partner.example", "/Team/One", "granted/direct"),
    Share("office365", "Sales Owners", "/sites/Sales/Documents", "ignored/group"),
)

# Of those shared with before anybody accepts, Ben, Carla and Eli have a sharer who may invite: nobody is asked.
_APPROVED = frozenset(
    f"{name}@{domain}"
    for domain, names in {
        "partner.example": "ada mara jon.mixed rob rita ron hal ida old ola pia quinn lea",
        "fabrikam.example": "petra",
        "crossorg.example": "gus gia",
    }.items()
    for name in names.split()
)
_PRE_APPROVED = frozenset({"ben@partner.example", "carla@partner.example", "eli@partner.example"})
_MO = frozenset({"mo@partner.example"})
_SEVEN = frozenset(passage.person for passage in SEVEN)


def _drive(name: str, paths: set[str]) -> dict[str, Any]:
    items = [{"path": path, "kind": "file" if "." in path else "folder"} for path in sorted(paths)]
    return {"id": f"drive-{name}", "name": f"{name.title()} migration", "items": items}


def _drives() -> list[dict[str, Any]]:
    """The libraries that the content migration has filled: all that is shared, also what must not be granted."""
    box = {step.item for step in _FIRST if step.source == "box" and step.kind != "root"} - {"/Why?"}
    legal = {path for path in box if path.startswith("/Legal/")}
    sync = {step.item for step in _FIRST if step.source == "securisync" and step.kind != "root"}
    seven: dict[str, set[str]] = {}
    for passage in SEVEN:
        seven.setdefault(passage.drive.removeprefix("drive-"), set()).update(passage.items)
    return [
        _drive("box", (box - legal) | seven.pop("box")),
        _drive("legal", {path.replace("/Legal", "/Matters") for path in legal}),
        _drive("sync", {"/SecuriSync" + path for path in sync} | seven.pop("sync")),
        *(_drive(name, paths) for name, paths in seven.items()),
    ]


STORY = Story(
    tenant={
        "users": _USERS,
        "drives": _drives(),
        "permissions": [{"drive": p.drive, "path": p.path, "user": p.person, "role": p.role} for p in _FOREIGN],
        "policies": {
            "directoryLagSeconds": 1,
            "sharePointLagSeconds": 1,
            "acceptanceLagSeconds": 1,
            "resourceUnitsPerMinute": 2_500,  # what Microsoft allows to a tenant of 1,000 to 5,000 licences
        },
    },
    groups={
        "Field team": ("ola@partner.example", "pia@partner.example", "ivo@contoso.com"),
        "Auditors": ("quinn@partner.example",),
    },
    chapters=(
        Chapter(
            "shares from before anybody accepts",
            _FIRST,
            approved=_APPROVED | _SEVEN,
            denied=frozenset({"fay@partner.example"}),
            accepting=_APPROVED | _SEVEN | _PRE_APPROVED - {"eli@partner.example"},
        ),
        Chapter(
            "what changes afterwards",
            _LATER,
            approved=_MO,
            accepting=_MO,
            arriving={"drive-sync": ("/SecuriSync/Archive/2026",)},
        ),
        Chapter("what is taken back in the end", _LAST),
    ),
    invited=_APPROVED | _SEVEN | _PRE_APPROVED | _MO,
    shares=(*_SHARES, *(share for passage in SEVEN for share in passage.shares)),
    given=(*_GIVEN, *(permission for passage in SEVEN for permission in passage.permissions)),
    foreign=_FOREIGN,
    account_map=(
        "connection,source,destination\n"
        "box,mara.old@partner.example,mara@partner.example\n"
        "box,exa@partner.example,exclude\n"
    ),
)
