"""What a hostile PACS holds, and what it would say by the book: its lies start from there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from pydicom import Dataset

from demo.studies import Study
from servers.find_provider import Values, element, tag_of
from servers.hostile_messages import Response, Store, identifier_of
from servers.hostile_pdus import Command

SUCCESS = Response(0x0000)

_KEYS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_LEVELS = ("STUDY", "SERIES", "IMAGE")


def identifier(values: Values, codec: str = "utf-8") -> bytes:
    """The identifier of an answer, in implicit VR little endian; keyword to value."""
    by_tag = {tag_of(name): value for name, value in values.items()}
    return b"".join(
        element(tag, value.encode(codec) if isinstance(value, str) else value)
        for tag, value in sorted(by_tag.items())
    )


def level_of(asked: Command) -> str:
    """At which level is asked."""
    return str(identifier_of(asked).QueryRetrieveLevel)


class Archive:
    """The instances of a study.

    Parameters
    ----------
    study : Study
    told : mapping of str to str
        What it returns beside UIDs, at study and series level.
    lists_images : bool
        Whether it knows the IMAGE level.
    """

    def __init__(
        self, study: Study, told: Mapping[str, str | bytes] | None = None, lists_images: bool = True
    ) -> None:
        self.instances = list(study.datasets())
        self._told = told or {}
        self._lists_images = lists_images

    def matching(self, asked: Command) -> list[Dataset]:
        """The instances that a request names."""
        query = identifier_of(asked)
        keys = {name: query[name].value for name in _KEYS if name in query and query[name].value}
        wanted = {name: [uid] if isinstance(uid, str) else list(uid) for name, uid in keys.items()}
        return [
            one for one in self.instances if all(one[name].value in uids for name, uids in wanted.items())
        ]

    def matches(self, asked: Command) -> Iterator[dict[str, str | bytes]]:
        """The values of each answer to a C-FIND."""
        level = level_of(asked)
        if level == "IMAGE" and not self._lists_images:
            return
        names = _KEYS[: _LEVELS.index(level) + 1]
        found = self.matching(asked)
        for uids in dict.fromkeys(tuple(str(one[name].value) for name in names) for one in found):
            told = {} if level == "IMAGE" else self._told
            yield {"QueryRetrieveLevel": level, **dict(zip(names, uids, strict=True)), **told}

    def find(self, asked: Command) -> Iterator[Response]:
        """The responses to a C-FIND."""
        for values in self.matches(asked):
            yield Response(identifier=identifier(values))
        yield SUCCESS

    def retrieve(self, asked: Command) -> Iterator[Response | Store]:
        """The images and the responses to a C-MOVE or C-GET."""
        images = [Store.of(one) for one in self.matching(asked)]
        for place, image in enumerate(images, 1):
            yield image
            yield Response(counts=(len(images) - place, place, 0, 0))
        yield final(len(images))


def final(completed: int, failed: int = 0, warning: int = 0, status: int = 0) -> Response:
    """The last response to a C-MOVE or C-GET."""
    return Response(status, counts=(None, completed, failed, warning))


def sent(instances: Collection[Dataset]) -> Sequence[Store]:
    """Images as they are."""
    return [Store.of(one) for one in instances]
