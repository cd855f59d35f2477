"""Values of the catalogue as rows of its tables."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC
from typing import Any

from pypx.basemount import schema
from pypx.basemount.records import Event, PackedInstance, QuarantinedFile, now


def storable(text: str) -> str:
    """A text as both databases take it: no NUL, no lone surrogate."""
    if text.isascii():
        return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def texts(values: Mapping[str, str], keywords: Iterable[str]) -> dict[str, str]:
    """The attributes' texts, "" for those that are not there."""
    return {keyword: storable(values.get(keyword, "")) for keyword in keywords}


def patient_key(values: Mapping[str, str]) -> str:
    """What tells patients as described apart: a digest of the description."""
    described = "\0".join(texts(values, schema.PATIENT_ATTRIBUTES).values())
    return hashlib.sha256(described.encode()).hexdigest()[:32]


def of_instance(instance: PackedInstance) -> dict[str, Any]:
    return {
        "SOPInstanceUID": instance.values["SOPInstanceUID"],
        "variant": instance.variant,
        "SeriesInstanceUID": instance.values["SeriesInstanceUID"],
        **texts(instance.values, schema.INSTANCE_ATTRIBUTES),
        "path": instance.path,
        "size": instance.size,
        "digest": instance.digest,
    }


def of_quarantined(file: QuarantinedFile) -> dict[str, Any]:
    return {
        "name": file.name,
        "SOPInstanceUID": file.sop_uid,
        "SeriesInstanceUID": file.series_uid,
        "StudyInstanceUID": file.study_uid,
        "reason": storable(file.reason),
        "time": now().isoformat(timespec="microseconds"),
    }


def of_folder(name: str, patient_id: str) -> dict[str, str]:
    return {"name": name, "PatientID": storable(patient_id)}


def of_event(event: Event) -> dict[str, Any]:
    return {
        "SeriesInstanceUID": storable(event.series_uid),
        "kind": event.kind,
        "time": event.time.astimezone(UTC).isoformat(timespec="microseconds"),
        "target": storable(event.target),
        "StudyInstanceUID": storable(event.study_uid),
        "count": event.count,
        "detail": storable(event.detail),
    }


def of_arrivals(
    instances: Iterable[PackedInstance],
    quarantined: Iterable[QuarantinedFile],
) -> Iterator[dict[str, Any]]:
    """The events of what is new in a batch: what of each series was received, and what was packed."""
    studies: dict[str, str] = {}
    received: Counter[str] = Counter()
    packed: Counter[str] = Counter()
    for instance in instances:
        uid = instance.values["SeriesInstanceUID"]
        studies[uid] = instance.values["StudyInstanceUID"]
        received[uid] += 1
        packed[uid] += 1
    for file in quarantined:
        if file.series_uid:
            studies.setdefault(file.series_uid, file.study_uid)
            received[file.series_uid] += 1
    time = now()
    for uid, study_uid in sorted(studies.items()):
        yield of_event(Event(uid, "received", study_uid, received[uid], time=time))
        if packed[uid]:
            yield of_event(Event(uid, "packed", study_uid, packed[uid], time=time))
