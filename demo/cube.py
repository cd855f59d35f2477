"""A stand-in for CUBE, the backend of ChRIS, of which there is no package: what of its API registers images.

It demands what CUBE demands, and looks into its storage as CUBE does, so that a wrong request fails here as
it would for real.
"""

from __future__ import annotations

import base64
import binascii
import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlencode

from demo.cube_rules import Interface, Names, Refused, checked
from demo.server import HOST
from demo.web import Answer, Asked, WebServer

#: The one user who may register.
CHRIS = "chris"
USERS = {CHRIS: "chris1234", "alice": "wonderland"}

_COLLECTION = "application/vnd.collection+json"
_PLAIN = "application/json"
_BASE = "/api/v1/"
_PAGE = 30
_LONGEST_PAGE = 1000

#: Where each interface is, below the base.
_POSTS = {Interface.SERIES: "pacs/series/", Interface.FILE: "pacsfiles/"}
_FILES = {Interface.SERIES: "pacs/files/", Interface.FILE: "pacsfiles/"}


def directory_names(root: Path) -> Names:
    """A directory as the storage that CUBE looks into."""

    def names(path: str) -> list[str]:
        top = (root / path).resolve()
        if not top.is_relative_to(root.resolve()):
            return []
        if top.is_file():
            return [path]
        return sorted(str(file.relative_to(root)) for file in (root / path).rglob("*") if file.is_file())

    return names


#: Comes between a request and what CUBE would do; None closes the connection without an answer.
Fault: TypeAlias = Callable[[Asked, Callable[[], Answer]], Answer | None]


class Cube(WebServer):
    """A CUBE that answers on loopback for as long as the ``with`` block lasts.

    Parameters
    ----------
    names : callable
        Its storage.
    interface : Interface
        Its generation.
    wait : float
        Seconds in which the files of a series must come to be in storage.
    delay : float
        Seconds that each request takes.
    port : int
        0 for a free one.
    """

    def __init__(
        self,
        names: Names,
        interface: Interface = Interface.SERIES,
        *,
        wait: float = 30.0,
        delay: float = 0.0,
        port: int = 0,
    ) -> None:
        super().__init__(self.answer, port)
        self.interface = interface
        self.names = names
        self.wait = wait
        self.delay = delay
        self.fault: Fault | None = None
        self.offers_tokens = True
        self.registered: list[dict[str, Any]] = []
        self.begun: list[Asked] = []
        self.requests: list[tuple[Asked, int]] = []
        self._files: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._token = uuid.uuid4().hex

    @property
    def url(self) -> str:
        """The root of its API."""
        return f"http://{HOST}:{self.port}{_BASE}"

    @property
    def files(self) -> list[str]:
        """The names of the files that are registered."""
        return sorted(self._files)

    def posts(self) -> list[Asked]:
        """The requests to register something, whatever became of them."""
        place = _POSTS[self.interface]
        return [asked for asked, _ in self.requests if asked.method == "POST" and _place(asked) == place]

    def forget(self) -> None:
        """Know of nothing that was registered."""
        with self._lock:
            self.registered.clear()
            self._files.clear()

    def answer(self, asked: Asked) -> Answer | None:
        """What is answered to a request."""
        self.begun.append(asked)
        time.sleep(self.delay)
        answer = self.fault(asked, lambda: self._answer(asked)) if self.fault else self._answer(asked)
        with self._lock:
            self.requests.append((asked, answer.status if answer else 0))
        return answer

    def _answer(self, asked: Asked) -> Answer:
        answers: dict[tuple[str, str], Callable[[Asked], Answer]] = {
            ("GET", ""): self._root,
            ("POST", _POSTS[self.interface]): self._register,
            ("GET", _POSTS[self.interface] + "search/"): self._search,
            ("GET", _FILES[self.interface] + "search/"): self._search_files,
        }
        if not asked.path.startswith(_BASE):
            return self._said(asked, 404, "There is no such page.")
        if _place(asked) == "auth-token/" and asked.method == "POST" and self.offers_tokens:
            return self._give_token(asked)
        todo = answers.get((asked.method, _place(asked)))
        known = {place for _, place in answers} | {_FILES[self.interface]}
        if todo is None and _place(asked) not in known:
            return self._said(asked, 404, "There is no such page.")
        user = self._user(asked)
        if user is None:
            return self._said(asked, 401, "The credentials are wrong, or there are none.")
        if todo is None:
            return self._said(asked, 405, "That cannot be done here.")
        if asked.method == "POST" and user != CHRIS:
            return self._said(asked, 403, "Only the user chris may do that.")
        return todo(asked)

    def _user(self, asked: Asked) -> str | None:
        scheme, _, word = asked.headers.get("authorization", "").partition(" ")
        if scheme == "Token":
            user, _, token = word.partition("-")
            return user if token == self._token and user in USERS else None
        try:
            user, _, password = base64.b64decode(word, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return user if scheme == "Basic" and USERS.get(user) == password else None

    def _give_token(self, asked: Asked) -> Answer:
        said = _said_fields(asked) or {}
        user = str(said.get("username"))
        if user not in USERS or USERS[user] != said.get("password"):
            return self._refused(asked, {"non_field_errors": ["The credentials are wrong."]})
        return _json(200, {"token": f"{user}-{self._token}"})

    def _root(self, asked: Asked) -> Answer:
        base = f"http://{asked.headers.get('host', '')}{_BASE}"
        links = {"plugins": base + "plugins/", "pacsfiles": base + _FILES[self.interface]}
        if self.interface is Interface.SERIES:
            links["pacsseries"] = base + _POSTS[self.interface]
        return self._page(asked, [], links)

    def _register(self, asked: Asked) -> Answer:
        fields = _said_fields(asked)
        if fields is None:
            return self._said(asked, 400, "This is not what the API reads.")
        try:
            kept = checked(self.interface, fields)
            if self.interface is Interface.SERIES:
                self._register_series(kept, self._awaited(kept["path"], kept["ndicom"]))
            else:
                self._register_file(kept)
        except Refused as refused:
            return self._refused(asked, refused.faults)
        if _wants_collection(asked):
            return _json(201, {"collection": {"version": "1.0", "items": [_item(kept)]}}, _COLLECTION)
        return _json(201, kept)

    def _awaited(self, path: str, count: int) -> list[str]:
        """The names below a path, once as many of them as announced are images."""
        deadline = time.monotonic() + self.wait
        while True:
            names = self.names(path)
            images = sum(1 for name in names if name.endswith(".dcm"))
            if images == count:
                return names
            if images > count or time.monotonic() >= deadline:
                raise Refused.whole(f"There are {images} images below the path, ndicom is {count}.")
            time.sleep(min(1.0, max(0.01, deadline - time.monotonic())))

    def _register_series(self, kept: dict[str, Any], names: list[str]) -> None:
        with self._lock:
            same = ("pacs_name", "SeriesInstanceUID")
            if any(all(one[name] == kept[name] for name in same) for one in self.registered):
                raise Refused.whole("This series is already registered for this PACS.")
            self.registered.append(kept)
            for name in names:
                self._files[name] = {**kept, "fname": name}

    def _register_file(self, kept: dict[str, Any]) -> None:
        path = kept["path"]
        if path not in self.names(path):
            raise Refused({"path": ["Could not find this path."]})
        with self._lock:
            if path in self._files:
                raise Refused({"path": ["File has already been registered."]})
            self.registered.append(kept)
            self._files[path] = {**kept, "fname": path}

    def _search(self, asked: Asked) -> Answer:
        if self.interface is Interface.FILE:
            return self._search_files(asked)
        with self._lock:
            rows = [{**one, "folder_path": one["path"]} for one in self.registered]
        return self._found(asked, rows)

    def _search_files(self, asked: Asked) -> Answer:
        with self._lock:
            rows = [self._files[name] for name in sorted(self._files, reverse=True)]
        return self._found(asked, rows)

    def _found(self, asked: Asked, rows: list[dict[str, Any]]) -> Answer:
        wanted = {name: text for name, text in asked.query.items() if name not in ("limit", "offset")}
        items = [
            {name: value for name, value in row.items() if name not in ("path", "pacs_name", "ndicom")}
            | {"id": number, "pacs_identifier": row["pacs_name"]}
            for number, row in enumerate(rows, 1)
        ]
        fitting = [item for item in items if all(_fits(item, *one) for one in wanted.items())]
        limit = min(int(asked.query.get("limit", _PAGE)), _LONGEST_PAGE)
        offset = int(asked.query.get("offset", 0))
        links = {}
        if offset + limit < len(fitting):
            more = urlencode({**wanted, "limit": limit, "offset": offset + limit})
            links["next"] = f"http://{asked.headers.get('host', '')}{asked.path}?{more}"
        return self._page(asked, fitting[offset : offset + limit], links)

    def _page(self, asked: Asked, items: list[dict[str, Any]], links: dict[str, str]) -> Answer:
        if _wants_collection(asked):
            collection = {
                "version": "1.0",
                "href": asked.path,
                "items": [_item(item) for item in items],
                "links": [{"rel": name, "href": url} for name, url in links.items()],
            }
            return _json(200, {"collection": collection}, _COLLECTION)
        page: dict[str, Any] = {"count": len(items), "next": links.pop("next", None), "previous": None}
        return _json(200, {**page, "results": items, **({"collection_links": links} if links else {})})

    def _said(self, asked: Asked, status: int, text: str) -> Answer:
        return self._error(asked, status, {"detail": text}, text)

    def _refused(self, asked: Asked, faults: Mapping[str, list[str]]) -> Answer:
        return self._error(asked, 400, dict(faults), json.dumps(faults))

    def _error(self, asked: Asked, status: int, plain: Mapping[str, Any], message: str) -> Answer:
        if _wants_collection(asked):
            return _json(
                status, {"collection": {"version": "1.0", "error": {"message": message}}}, _COLLECTION
            )
        return _json(status, plain)


def _fits(item: Mapping[str, Any], name: str, text: str) -> bool:
    """Files are searched by what their names begin with."""
    return str(item.get(name, "")).startswith(text) if name == "fname" else item.get(name) == text


def _place(asked: Asked) -> str:
    """The path below the root of the API."""
    return asked.path.removeprefix(_BASE)


def _wants_collection(asked: Asked) -> bool:
    """Collection+JSON is what an API of CUBE prefers; plain JSON has to be asked for."""
    accepted = [part.partition(";")[0].strip() for part in asked.headers.get("accept", "").split(",")]
    return _COLLECTION in accepted or _PLAIN not in accepted


def _said_fields(asked: Asked) -> dict[str, Any] | None:
    kind = asked.headers.get("content-type", "").partition(";")[0].strip()
    try:
        said = json.loads(asked.body)
        if kind == _COLLECTION:
            return {member["name"]: member["value"] for member in said["template"]["data"]}
    except (ValueError, KeyError, TypeError):
        return None
    return said if kind == _PLAIN and isinstance(said, dict) else None


def _item(values: Mapping[str, Any]) -> dict[str, Any]:
    return {"data": [{"name": name, "value": value} for name, value in values.items()]}


def _json(status: int, document: Mapping[str, Any], content_type: str = _PLAIN) -> Answer:
    return Answer(status, json.dumps(document).encode(), content_type)
