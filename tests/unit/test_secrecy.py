"""What of a JSON value is a secret."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypx.basemount.secrecy import MASK, holds_mask, masked


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"key": "testing"}, {"key": "***"}),
        (
            {"password": "x", "passwd": "x", "CUBEuserpasswd": "x"},
            dict.fromkeys(["password", "passwd", "CUBEuserpasswd"], "***"),
        ),
        ({"token": 7, "clientSecret": ["a", "b"]}, {"token": "***", "clientSecret": ["***", "***"]}),
        ({"login": "chris:chris1234"}, {"login": "chris:***"}),
        ({"login": "chris"}, {"login": "chris"}),
        ({"swiftLogin": "a:b:c"}, {"swiftLogin": "a:***"}),
        ({"url": "http://user:p@ss@host/x"}, {"url": "http://user:***@host/x"}),
        ({"url": "http://host:8000/api"}, {"url": "http://host:8000/api"}),
        ({"key": "", "password": None}, {"key": "", "password": None}),
        ({"monkey": "x", "keyword": "y", "port": 104}, {"monkey": "x", "keyword": "y", "port": 104}),
        (
            [{"store": {"key": {"deep": {"password": "x"}}}}],
            [{"store": {"key": {"deep": {"password": "***"}}}}],
        ),
        ("text", "text"),
    ],
)
def test_secrets_are_masked_and_nothing_else(value, shown):
    assert masked(value) == shown
    assert holds_mask(shown) == (MASK in json.dumps(shown))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_masking_twice_is_masking_once(value):
    assert masked(masked(value)) == masked(value)
