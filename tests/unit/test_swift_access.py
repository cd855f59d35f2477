"""How a Swift is reached, from the fields of its key."""

from __future__ import annotations

from typing import Any

import pytest

from pypx.errors import InvalidValue
from pypx.storage.swift_access import SwiftAccess

PLAIN = {"ip": "192.0.2.1", "port": "8080", "login": "chris:chris1234"}
KEYSTONE = {
    "auth": "3",
    "authurl": "https://keys.example.org:5000",
    "login": "pusher",
    "key": "s3cret",
    "project": "mri",
}


def access(**fields: Any) -> SwiftAccess:
    return SwiftAccess.of_fields(fields)


def test_the_fields_that_sites_have() -> None:
    made = access(**PLAIN)
    assert made.auth_url == "http://192.0.2.1:8080/auth/v1.0"
    assert (made.user, made.key, made.auth_version, made.container) == (
        "chris:chris1234",
        "testing",
        "1",
        "users",
    )


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"port": 8081}, "http://192.0.2.1:8081/auth/v1.0"),
        ({"port": None}, "http://192.0.2.1:8080/auth/v1.0"),
        ({"https": True}, "https://192.0.2.1:8080/auth/v1.0"),
        ({"https": "false"}, "http://192.0.2.1:8080/auth/v1.0"),
        ({"ip": "swift.example.org"}, "http://swift.example.org:8080/auth/v1.0"),
        ({"ip": "2001:db8::1"}, "http://[2001:db8::1]:8080/auth/v1.0"),
        ({"authurl": "https://s.example.org/auth/v1.0"}, "https://s.example.org/auth/v1.0"),
        ({"auth": "3", "project": "p"}, "http://192.0.2.1:8080/v3"),
        ({"auth": "2", "tenant": "p"}, "http://192.0.2.1:8080/v2.0"),
    ],
)
def test_the_url_of_the_authentication(fields: dict[str, Any], url: str) -> None:
    assert access(**{**PLAIN, **fields}).auth_url == url


@pytest.mark.parametrize(
    ("authurl", "auth", "version", "url"),
    [
        ("https://k.example.org:5000/v3", "", "3", "https://k.example.org:5000/v3"),
        ("https://k.example.org:5000/v3/", "", "3", "https://k.example.org:5000/v3"),
        ("https://k.example.org:5000", "3", "3", "https://k.example.org:5000/v3"),
        ("https://k.example.org/identity", "v3", "3", "https://k.example.org/identity/v3"),
        ("https://k.example.org:5000/v2.0", "", "2", "https://k.example.org:5000/v2.0"),
        ("https://k.example.org:5000", "2.0", "2", "https://k.example.org:5000/v2.0"),
    ],
)
def test_keystone(authurl: str, auth: str, version: str, url: str) -> None:
    made = access(**{**KEYSTONE, "authurl": authurl, "auth": auth})
    assert (made.auth_version, made.auth_url) == (version, url)
    assert (made.user, made.project, made.user_domain) == ("pusher", "mri", "Default")


def test_a_project_may_stand_before_the_user() -> None:
    fields = {**KEYSTONE, "authurl": "https://k.example.org/v3", "login": "mri:pusher"}
    del fields["project"]
    made = access(**fields)
    assert (made.project, made.user) == ("mri", "pusher")


@pytest.mark.parametrize(
    "fields",
    [
        {"ip": ""},
        {"ip": "-oProxyCommand=x"},
        {"ip": "a b"},
        {"ip": "a/b"},
        {"ip": "user@host"},
        {"port": "0"},
        {"port": "65536"},
        {"port": "x"},
        {"port": "9" * 5000},
        {"login": ""},
        {"login": "chris"},
        {"auth": "4"},
        {"https": "maybe"},
        {"container": "a/b"},
        {"container": ".."},
        {"container": "a\udc80"},
        {"authurl": "ftp://host"},
        {"authurl": "https://user:s3cret@host/v3"},
        {"authurl": "http://[2001:db8::1"},
        {"authurl": "https://host:99999/v3"},
        {"storageurl": "file:///etc"},
        {"storageurl": "http://[2001:db8::1"},
        {"auth": "3", "login": "chris"},
    ],
)
def test_fields_that_cannot_be(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        access(**{**PLAIN, **fields})


def test_no_secret_is_shown() -> None:
    for made in (access(**{**PLAIN, "key": "s3cret"}), access(**KEYSTONE)):
        shown = f"{made!r} {made} {made.label}"
        assert "s3cret" not in shown
        assert "chris1234" not in shown
    with pytest.raises(InvalidValue) as caught:
        access(**{**PLAIN, "key": "s3cret", "authurl": "https://user:s3cret@host"})
    assert "s3cret" not in str(caught.value)


def test_the_label_tells_storages_apart() -> None:
    labels = {
        access(**{**PLAIN, **fields}).label
        for fields in ({}, {"port": 8081}, {"container": "other"}, {"login": "cube:x"}, {"ip": "192.0.2.2"})
    }
    assert len(labels) == 5
    assert "swift://chris@192.0.2.1:8080/users" in labels
