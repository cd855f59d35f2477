"""Tokens from Swift itself (auth v1) or from OpenStack's Keystone (Identity API v2.0 and v3).

No redirection is followed: what a login goes to is what a person has named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import requests
from swiftclient import client

from pypx.errors import StorageFailed, StorageRefused
from pypx.storage.swift_access import SwiftAccess

_OBJECT_STORE = "object-store"


def authenticate(access: SwiftAccess, timeout: tuple[float, float]) -> tuple[str, str]:
    """Ask for a token.

    Parameters
    ----------
    access : SwiftAccess
    timeout : (float, float)
        Seconds for the connection, and without a byte of the answer.

    Returns
    -------
    (str, str)
        URL of the account in Swift, and the token.

    Raises
    ------
    StorageRefused
        When login, key or project are wrong.
    StorageFailed
        When it answers anything else that is no token, or its catalogue does not have an object store.
    swiftclient.ClientException, requests.RequestException
        When there is no answer, or one of something broken.
    """
    return {"1": _v1, "2": _v2, "3": _v3}[access.auth_version](access, timeout)


def _v1(access: SwiftAccess, timeout: tuple[float, float]) -> tuple[str, str]:
    answer = requests.get(
        access.auth_url,
        headers={"X-Auth-User": access.user, "X-Auth-Key": access.key},
        timeout=timeout,
        verify=access.ca_certificates or True,
        allow_redirects=False,
    )
    _check(access, answer)
    url = answer.headers.get("X-Storage-Url", "")
    token = answer.headers.get("X-Storage-Token") or answer.headers.get("X-Auth-Token", "")
    if not url or not token:
        raise StorageFailed(
            f"{access.auth_url} does not answer as Swift does", 'Correct the address, or the field "auth".'
        )
    return url, token


def _v2(access: SwiftAccess, timeout: tuple[float, float]) -> tuple[str, str]:
    credentials = {"username": access.user, "password": access.key}
    asked = {"auth": {"passwordCredentials": credentials, "tenantName": access.project}}
    answer = _post(access, "tokens", asked, timeout)
    try:
        found = answer.json()["access"]
        token = str(found["token"]["id"])
        endpoints = [
            (entry.get("region", ""), entry["publicURL"])
            for service in found["serviceCatalog"]
            if service["type"] == _OBJECT_STORE
            for entry in service["endpoints"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _not_keystone(access) from error
    return _chosen(access, endpoints), token


def _v3(access: SwiftAccess, timeout: tuple[float, float]) -> tuple[str, str]:
    user = {"name": access.user, "domain": {"name": access.user_domain}, "password": access.key}
    project = {"name": access.project, "domain": {"name": access.project_domain}}
    asked = {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": project},
        }
    }
    answer = _post(access, "auth/tokens", asked, timeout)
    try:
        token = answer.headers["X-Subject-Token"]
        endpoints = [
            (entry.get("region_id") or entry.get("region") or "", entry["url"])
            for service in answer.json()["token"]["catalog"]
            if service["type"] == _OBJECT_STORE
            for entry in service["endpoints"]
            if entry["interface"] == "public"
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _not_keystone(access) from error
    return _chosen(access, endpoints), token


def _post(
    access: SwiftAccess, path: str, body: Mapping[str, Any], timeout: tuple[float, float]
) -> requests.Response:
    answer = requests.post(
        f"{access.auth_url}/{path}",
        json=body,
        headers={"Accept": "application/json"},
        timeout=timeout,
        verify=access.ca_certificates or True,
        allow_redirects=False,
    )
    _check(access, answer)
    return answer


def _check(access: SwiftAccess, answer: requests.Response) -> None:
    status = answer.status_code
    if status in (401, 403):
        keystone = "" if access.auth_version == "1" else ", project and domains"
        raise StorageRefused(
            f"{access.auth_url} does not let the login of {access.label} in",
            f"Check login, key{keystone} of the storage.",
        )
    if status == 429 or status >= 500:
        raise client.ClientException("authentication", http_status=status, http_reason=answer.reason)
    if not 200 <= status < 300:
        raise StorageFailed(
            f"{access.auth_url} answers {status} when asked for a token",
            "Correct the address of the storage.",
        )


def _chosen(access: SwiftAccess, endpoints: Iterable[tuple[str, str]]) -> str:
    for region, url in endpoints:
        if not access.region or region == access.region:
            return str(url)
    raise StorageFailed(
        f"The catalogue of Keystone at {access.auth_url} has no object store"
        f"{f' in the region {access.region!r}' if access.region else ''}",
        'Correct the field "region", or give "storageurl".',
    )


def _not_keystone(access: SwiftAccess) -> StorageFailed:
    return StorageFailed(
        f"{access.auth_url} does not answer as Keystone does", 'Correct the field "authurl" or "auth".'
    )
