"""The text of one attribute in one place of a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from pypx.actions.found import FoundSeries, FoundStudy
from pypx.actions.report.outcomes import COUNTS, SERIES_STATUS
from pypx.dicom.dates import parse_date
from pypx.dicom.numbers import whole_number
from pypx.wording import counted

#: Attributes whose values are numbers, set against the right edge of their column.
NUMBERS = frozenset(
    {
        "SeriesNumber",
        "NumberOfSeriesRelatedInstances",
        "NumberOfStudyRelatedInstances",
        "NumberOfStudyRelatedSeries",
        *COUNTS,
    }
)


def of_study(study: FoundStudy, tag: str) -> str:
    """An attribute of the study; of its series where only they have it, each value once.

    PatientAge is computed from PatientBirthDate and StudyDate where the PACS does not return it.
    """
    if text := study.values.get(tag, ""):
        return text
    if tag == "PatientAge":
        return age(study.values.get("PatientBirthDate", ""), study.values.get("StudyDate", ""))
    if tag == "ModalitiesInStudy":
        return among_series(study, "Modality")
    return among_series(study, tag)


def among_series(study: FoundStudy, tag: str) -> str:
    """The values of an attribute among the series of a study, each once, joined as DICOM joins them."""
    return "\\".join(dict.fromkeys(text for one in study.series if (text := one.values.get(tag, ""))))


def in_header(study: FoundStudy, tag: str) -> str:
    """An attribute of the series in the study's header."""
    return among_series(study, tag) or of_study(study, tag)


def of_series(study: FoundStudy, series: FoundSeries, tag: str) -> str:
    """An attribute of the series; of its study where only that has it."""
    if tag == SERIES_STATUS:
        return status(series)
    return series.values.get(tag, "") or study.values.get(tag, "")


def status(series: FoundSeries) -> str:
    """The whole status of a series in one cell; empty where nothing is known."""
    counts = [f"{name} {series.values[name]}" for name in COUNTS if series.values.get(name)]
    words = (series.values.get("state", ""), ", ".join(counts), series.values.get("error", ""))
    return ": ".join(word for word in words if word)


def instances(series: FoundSeries) -> int | None:
    """How many instances the series has; None where neither PACS nor status says."""
    known = (series.values.get(name, "") for name in ("requested", "expected"))
    numbers = (series.instances, *map(whole_number, known))
    return next((number for number in numbers if number is not None), None)


def total(counts: Iterable[int | None]) -> int | None:
    """The sum of counts; None when one of them is unknown."""
    known = list(counts)
    return None if None in known else sum(count for count in known if count is not None)


def study_instances(study: FoundStudy) -> int | None:
    """How many instances the study's series have; what the PACS says of the study where none is listed."""
    return total(instances(series) for series in study.series) if study.series else study.instances


def study_series(study: FoundStudy) -> int | None:
    """How many series are listed; what the PACS says where none is; None where it does not say."""
    return len(study.series) or whole_number(study.values.get("NumberOfStudyRelatedSeries", ""))


def counts(studies: Sequence[FoundStudy]) -> str:
    """How much there is, in words: "3 studies, 18 series, 1,204 images"."""
    parts = (
        counted(len(studies), "study", "studies"),
        counted(total(map(study_series, studies)), "series", "series"),
        counted(total(map(study_instances, studies)), "image", "images"),
    )
    return ", ".join(parts)


def study_counts(study: FoundStudy) -> str:
    """How much there is of one study, in words: "6 series, 1,152 images"."""
    return counts((study,)).partition(", ")[2]


def age(born: str, examined: str) -> str:
    """The age of a patient on the day of a study, as PatientAge has it (PS3.5, 6.2: AS).

    Parameters
    ----------
    born, examined : str
        DA values.

    Returns
    -------
    str
        "004D", "011M" or "053Y": days up to two months, months up to two years; "" where a date is missing.
    """
    first, last = parse_date(born), parse_date(examined)
    if first is None or last is None or last < first:
        return ""
    months = _whole_months(first, last)
    if months < 2:
        return f"{(last - first).days:03d}D"
    if months < 24:
        return f"{months:03d}M"
    # AS has room for three digits.
    return f"{months // 12:03d}Y" if months < 12_000 else ""


def _whole_months(first: date, last: date) -> int:
    months = 12 * (last.year - first.year) + last.month - first.month
    return months - (last.day < first.day)
