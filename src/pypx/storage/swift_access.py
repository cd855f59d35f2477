"""How a Swift is reached, from the fields of its service key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from pypx.errors import InvalidValue

#: Of ChRIS, where nobody says otherwise.
DEFAULT_KEY = "testing"
DEFAULT_CONTAINER = "users"
DEFAULT_PORT = 8080

_HOST = re.compile(r"[A-Za-z0-9_\[:][A-Za-z0-9_.:%\[\]-]{0,252}")
_TRUE = ("true", "yes", "1", "on")
_FALSE = ("false", "no", "0", "off", "")


@dataclass(frozen=True, slots=True)
class SwiftAccess:
    """Where a Swift is, who we are there, and which container is meant.

    Parameters
    ----------
    auth_url : str
        Of auth v1 (``http://host:port/auth/v1.0``) or of Keystone (``https://host:5000/v3``).
    auth_version : str
        "1", "2" or "3".
    user : str
        Of auth v1 ``account:user``; of Keystone the user's name.
    key : str
        The password.
    container : str
    project, user_domain, project_domain, region : str
        Of Keystone (v2 calls the project a tenant); "" where there is none.
    storage_url : str
        Where the objects are, instead of where the authentication says; "" for that.
    ca_certificates : str
        A file of certificates to trust with https; "" for the system's.
    """

    auth_url: str
    user: str = field(repr=False)
    key: str = field(repr=False, default=DEFAULT_KEY)
    auth_version: str = "1"
    container: str = DEFAULT_CONTAINER
    project: str = ""
    user_domain: str = "Default"
    project_domain: str = "Default"
    region: str = ""
    storage_url: str = ""
    ca_certificates: str = ""

    @property
    def label(self) -> str:
        """Host, account and container as one word, without a secret: ``swift://chris@host:8080/users``."""
        return f"swift://{self._account}@{urlsplit(self.auth_url).netloc}/{self.container}"

    @property
    def _account(self) -> str:
        # What comes after the colon may well be taken for a password by those who chose it.
        return self.project or self.user.partition(":")[0]

    @classmethod
    def of_fields(cls, fields: Mapping[str, Any]) -> SwiftAccess:
        """Read the fields of a key in swift.json or storage.json.

        ====================================== ===========================================================
        ip, port (8080), https (false)          where it is; or the whole of it:
        authurl                                 the URL of the authentication
        auth                                    1 (the default), 2 or 3; the last two are Keystone
        login, key ("testing")                  user (of auth 1 ``account:user``) and password
        container ("users")                     where the objects are
        project or tenant, region               of Keystone
        userdomain, projectdomain ("Default")   of Keystone v3
        storageurl                              where the objects are, if the authentication says otherwise
        cacert                                  a file of certificates to trust
        ====================================== ===========================================================

        Raises
        ------
        InvalidValue
            When one is missing or cannot be what it is given for. No value of a secret stands in it.
        """
        texts = {name: str(value).strip() for name, value in fields.items() if value is not None}
        version = _version(texts)
        user, project = texts.get("login", ""), texts.get("project") or texts.get("tenant") or ""
        if not user:
            raise InvalidValue(
                "The storage has no login", 'Give --swiftLogin, or add the field "login" to its key.'
            )
        if version == "1" and ":" not in user:
            raise InvalidValue(
                "The login of the storage is not account:user",
                "Write it as chris:chris1234, both from Swift.",
            )
        if version != "1" and not project:
            # As swiftclient has it: the project before a colon.
            project, _, user = user.rpartition(":")
            if not project:
                raise InvalidValue(
                    "The storage's key names no project", 'Add the field "project" (v2 calls it a tenant).'
                )
        return cls(
            auth_url=_auth_url(texts, version),
            auth_version=version,
            user=user,
            key=texts.get("key") or DEFAULT_KEY,
            container=_container(texts.get("container") or DEFAULT_CONTAINER),
            project=project,
            user_domain=texts.get("userdomain") or "Default",
            project_domain=texts.get("projectdomain") or "Default",
            region=texts.get("region", ""),
            storage_url=_url(texts["storageurl"], "storageurl") if texts.get("storageurl") else "",
            ca_certificates=texts.get("cacert", ""),
        )


def _version(texts: Mapping[str, str]) -> str:
    said = texts.get("auth") or ""
    if not said:
        url = _url(texts["authurl"], "authurl") if texts.get("authurl") else ""
        path = urlsplit(url).path.rstrip("/").rpartition("/")[2]
        said = {"v2.0": "2", "v3": "3"}.get(path, "1")
    version = said.lower().removeprefix("v").partition(".")[0]
    if version not in ("1", "2", "3"):
        raise InvalidValue(f'The field "auth" of the storage is {said!r}', "It is 1, 2 or 3.")
    return version


def _auth_url(texts: Mapping[str, str], version: str) -> str:
    if texts.get("authurl"):
        url = _url(texts["authurl"], "authurl").rstrip("/")
        path = urlsplit(url).path.rpartition("/")[2]
        if version == "2" and path != "v2.0":
            return f"{url}/v2.0"
        return f"{url}/v3" if version == "3" and path != "v3" else url
    host, port = texts.get("ip", ""), texts.get("port") or str(DEFAULT_PORT)
    if not _HOST.fullmatch(host):
        raise InvalidValue(
            f"{host!r} is not the host of a storage", 'Give --swiftIP, or correct the field "ip" of its key.'
        )
    if not (port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= 65535):
        raise InvalidValue(f"{port!r} is not a port", 'Give --swiftPort, or correct the field "port".')
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    scheme = "https" if _flag(texts, "https") else "http"
    return f"{scheme}://{host}:{port}{ {'1': '/auth/v1.0', '2': '/v2.0', '3': '/v3'}[version] }"


def _flag(texts: Mapping[str, str], name: str) -> bool:
    said = texts.get(name, "").lower()
    if said not in (*_TRUE, *_FALSE):
        raise InvalidValue(f'The field "{name}" of the storage is {said!r}', "It is true or false.")
    return said in _TRUE


def _url(text: str, name: str) -> str:
    if not _is_url(text):
        raise InvalidValue(
            f'The field "{name}" of the storage is not a URL as it should be',
            "Write it as https://host:port/path; login and key have fields of their own.",
        )
    return text


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.username is None
            and parts.port != 0
        )
    except ValueError:  # brackets of IPv6 that do not match, a port beyond 65535
        return False


def _container(name: str) -> str:
    if not name.isprintable() or "/" in name or len(name.encode()) > 200 or name in (".", ".."):
        raise InvalidValue(f"{name!r} is not the name of a container", 'Correct the field "container".')
    return name
