"""Reading one entry of an item's permission list, in both generations that Graph sends side by side."""

import base64
from collections.abc import Mapping
from typing import Any

from shared.domain.grants import Permission
from shared.domain.platforms import Role

type Entry = Mapping[str, Any]

ACCOUNT_LOGIN = "i:0#.f|membership|"  # SharePoint's name for an account: this and the userPrincipalName, lower case
_LINK_ROLES = {"view": Role.READ, "edit": Role.WRITE}


def permission_of(entry: Entry, object_id: str, login: str | None) -> Permission:
    """Return the entry as a value, `mine` when it is the person's own direct one.

    `login` is SharePoint's name for the person, for entries that carry no object id.
    """
    is_link = bool(entry.get("link"))
    return Permission(
        id=entry["id"],
        role=_role(entry),
        # SharePoint sends an empty object: the key alone says that the entry comes from above.
        inherited="inheritedFrom" in entry,
        mine=not is_link and _concerns(entry, object_id, login),
        link=is_link,
        members=tuple(members(entry, object_id, login)) if is_link else (),
    )


def members(entry: Entry, object_id: str | None = None, login: str | None = None) -> list[str]:
    """Return the object ids of a link's people; `login` stands for `object_id` where an identity has no id."""
    found = [
        _user_id(identity) or (object_id if login and _login(identity) == login else None)
        for key in ("grantedToIdentitiesV2", "grantedToIdentities")
        for identity in entry.get(key) or ()
    ]
    return list(dict.fromkeys(member for member in found if member))


def needs_login(entry: Entry) -> bool:
    """Tell whether the entry names an account by its login only; groups have another kind of login."""
    if entry.get("link"):
        return any(_login(identity) and not _user_id(identity) for identity in entry.get("grantedToIdentitiesV2") or ())
    return not _ids(entry) and bool(_logins(entry))


def share_token(url: str) -> str:
    """Return a sharing URL in the form that `/shares/{id}` takes. As secret as the URL."""
    return "u!" + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def _concerns(entry: Entry, object_id: str, login: str | None) -> bool:
    ids = _ids(entry)
    return object_id in ids if ids else login in _logins(entry)


def _ids(entry: Entry) -> set[str]:
    return {user_id for holder in _holders(entry) if (user_id := _user_id(holder))}


def _logins(entry: Entry) -> set[str]:
    found = [_account_login(_text_in_id(entry["id"])), *map(_login, _holders(entry))]
    return {login for login in found if login}


def _holders(entry: Entry) -> list[Entry]:
    return [holder for key in ("grantedToV2", "grantedTo") if (holder := entry.get(key))]


def _user_id(identity: Entry) -> str | None:
    return (identity.get("user") or {}).get("id")


def _login(identity: Entry) -> str | None:
    return _account_login((identity.get("siteUser") or {}).get("loginName"))


def _account_login(name: str | None) -> str | None:
    """Return the name, in lower case, if it is the login of an account."""
    return name.lower() if name and name.lower().startswith(ACCOUNT_LOGIN) else None


def _text_in_id(permission_id: str) -> str | None:
    """Return what a direct entry's id holds: the login in base64, URL alphabet, unpadded, in recorded answers."""
    try:
        padded = permission_id + "=" * (-len(permission_id) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except ValueError:
        return None


def _role(entry: Entry) -> Role | None:
    """Return the widest role; anything that is neither read nor write counts as wider than ours."""
    roles = set(entry.get("roles") or ())
    if not roles:
        return _LINK_ROLES.get(str((entry.get("link") or {}).get("type")))
    if not roles <= {"read", "write"}:
        return None
    return Role.WRITE if "write" in roles else Role.READ
