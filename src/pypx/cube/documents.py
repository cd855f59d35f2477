"""What stands in the answers of CUBE's API, whether they are Collection+JSON or plain JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

#: Characters of what CUBE says that are worth showing.
_LONGEST_MESSAGE = 300

#: Objects and lists within each other that a message is looked for in; CUBE has two.
_DEEPEST = 8


def links(document: object) -> dict[str, str]:
    """The link relations of a page and where they lead."""
    collection = _member(document, "collection")
    if isinstance(collection, dict):
        listed = collection.get("links")
        each = listed if isinstance(listed, list) else []
        return {
            str(link["rel"]): str(link["href"])
            for link in each
            if isinstance(link, dict) and {"rel", "href"} <= link.keys()
        }
    named = _member(document, "collection_links")
    found = {str(name): str(url) for name, url in named.items()} if isinstance(named, dict) else {}
    following = _member(document, "next")
    return {**found, **({"next": following} if isinstance(following, str) else {})}


def items(document: object) -> list[Mapping[str, Any]]:
    """The items of a page, each as its fields."""
    collection = _member(document, "collection")
    listed = _member(document, "results") if collection is None else _member(collection, "items")
    return [_fields(item) for item in listed] if isinstance(listed, list) else []


def is_page(document: object) -> bool:
    """Whether this is a page of the API at all."""
    if isinstance(_member(document, "collection"), dict):
        return True
    return isinstance(_member(document, "results"), list)


def message(document: object) -> str:
    """What CUBE says is wrong, in one line; "" where it says nothing."""
    error = _member(_member(document, "collection"), "error")
    told = _member(error, "message") if isinstance(error, dict) else document
    if isinstance(told, str):
        # Collection+JSON has room for one text; that of several fields is JSON once more.
        try:
            told = json.loads(told)
        except (ValueError, RecursionError):
            pass
    text = "; ".join(_sentences(told))
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}…"


def _sentences(told: object, name: str = "", depth: int = 0) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    if isinstance(told, dict):
        for key, value in told.items():
            about = "" if key in ("non_field_errors", "detail") else str(key)
            yield from _sentences(value, about, depth + 1)
    elif isinstance(told, list):
        for value in told:
            yield from _sentences(value, name, depth + 1)
    elif told is not None:
        text = " ".join(str(told).split()).removesuffix(".")
        yield f"{name}: {text}" if name else text


def _fields(item: object) -> dict[str, Any]:
    data = _member(item, "data")
    if isinstance(data, list):
        return {
            str(member["name"]): member["value"]
            for member in data
            if isinstance(member, dict) and {"name", "value"} <= member.keys()
        }
    return dict(item) if isinstance(item, dict) else {}


def _member(document: object, name: str) -> Any:
    return document.get(name) if isinstance(document, dict) else None
