"""DICOM dates and ages from values that may hold anything."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypx.dicom.dates import age_in_days, days_between, iso_date, parse_date

NO_DATES = (
    "",
    " ",
    "2020",
    "202001",
    "20201301",
    "20210229",
    "00000101",
    "2020-01-31",
    "2020.01.3",
    "20200131120000",
    "20200131-20200201",
    "20200131\\20200201",
    "2020013१",
    "+2020131",
    "today",
)


@pytest.mark.parametrize("text", ["20200131", "2020.01.31", "20200131 ", "20200131\0", " 20200131"])
def test_date_in_either_form(text: str) -> None:
    assert parse_date(text) == date(2020, 1, 31)
    assert iso_date(text) == "2020-01-31"


@pytest.mark.parametrize("text", NO_DATES)
def test_no_date(text: str) -> None:
    assert parse_date(text) is None
    assert iso_date(text) is None
    assert days_between(text, "20200131") is None
    assert days_between("20200131", text) is None


@given(st.dates())
def test_every_day_comes_back(day: date) -> None:
    assert parse_date(day.strftime("%Y%m%d").zfill(8)) == day
    assert iso_date(day.strftime("%Y%m%d").zfill(8)) == day.isoformat()


@given(st.dates(max_value=date(9000, 1, 1)), st.integers(0, 200_000))
def test_days_between(day: date, days: int) -> None:
    first, last = (each.strftime("%Y%m%d").zfill(8) for each in (day, day + timedelta(days)))
    assert days_between(first, last) == days
    assert days_between(last, first) == (0 if days == 0 else None)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("012D", 12),
        ("003W", 21),
        ("006M", 182),
        ("034Y", 12418),
        ("34Y", 12418),
        ("000D", 0),
        ("999Y", 364884),
        ("034Y ", 12418),
    ],
)
def test_age(text: str, days: int) -> None:
    assert age_in_days(text) == days


@pytest.mark.parametrize(
    "text", ["", "34", "Y", "034y", "-34Y", "0034Y", "3.5Y", "034Y\\035Y", "٣٤Y", "034 Y"]
)
def test_no_age(text: str) -> None:
    assert age_in_days(text) is None


@given(st.text())
def test_no_text_raises(text: str) -> None:
    assert parse_date(text) is None or iso_date(text) is not None
    assert age_in_days(text) is None or text.strip(" \0")[-1] in "DWMY"
