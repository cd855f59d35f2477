"""Naming templates: how the attributes of an instance become the names of its directories and file.

A template is literal text with fields in it::

    %Keyword                        the attribute's value
    %_function|arguments_Keyword    a function of the attribute's value
    %AgeInDays                      the patient's age at the study, from the two dates

Of several keywords that fit, the longest is meant: ``%PatientIDx`` is PatientID and the letter x. An
attribute that an instance lacks has the value "". The functions:

==================  ==================================================================================
pad|width,char      fills up to the width with the character (0) on the left
md5|n               the first n hexadecimal digits (all 32) of the value's MD5
strmsk|mask         the value, in which ``*`` keeps a character and others stand in its place; what is
                    longer than the mask is cut
nospc|char          the value's words (letters, digits, underscores), joined by the character (nothing)
name|keyword        an invented name, always the same for the same value of the keyword (of the field's own)
==================  ==================================================================================

What the fields give is made fit for a filesystem when the component is complete, by :func:`legal_component`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from pypx.basemount.template_functions import FUNCTIONS, Apply, invented_name
from pypx.dicom.dates import days_between
from pypx.errors import InvalidTemplate

#: Longest name that Linux filesystems take, in bytes.
COMPONENT_BYTES = 255

#: Keywords known without DICOM's dictionary, which takes long to load.
_COMMON_KEYWORDS = frozenset(
    {
        "AccessionNumber",
        "InstanceNumber",
        "Modality",
        "PatientAge",
        "PatientBirthDate",
        "PatientID",
        "PatientName",
        "PatientSex",
        "ProtocolName",
        "SOPInstanceUID",
        "SeriesDescription",
        "SeriesInstanceUID",
        "SeriesNumber",
        "StudyDate",
        "StudyDescription",
        "StudyInstanceUID",
    }
)

_AGE_IN_DAYS = "AgeInDays"
_AGE_NEEDS = ("PatientBirthDate", "StudyDate")
_WORD = re.compile(r"[A-Za-z0-9]*")
_CALL = re.compile(r"_([A-Za-z0-9]+)(\||_)")
_ILLEGAL = re.compile(r"[^A-Za-z0-9.-]+")
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,8}$")


def legal_component(text: str) -> str:
    """A text as one component of a path.

    Runs of characters outside ``[A-Za-z0-9.-]`` become ``_``; what would be empty, ``.`` or ``..`` becomes
    ``_`` or ``__``; what is longer than 255 bytes is cut, its extension kept, and given a digest of the whole
    text, so that two long texts never become one. A component may well begin with ``-`` or ``.``, where the
    first attribute is missing or its value begins so: write ``./-name`` in a shell.
    """
    name = _ILLEGAL.sub("_", text)
    if name in ("", ".", ".."):
        return "_" * max(1, len(name))
    return name if len(name) <= COMPONENT_BYTES else distinct_component(name, text)


def distinct_component(name: str, text: str, digits: int = 32, longest: int = COMPONENT_BYTES) -> str:
    """A component with a digest of a text before its extension, never longer than a name may be.

    Parameters
    ----------
    name : str
        A legal component, of any length.
    text : str
        What tells this one from others of the same name.
    digits : int
        How many hexadecimal digits of the digest, up to 64: few where a caller sees that the name is free.
    longest : int
        In bytes.
    """
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:digits]
    match = _EXTENSION.search(name)
    extension = match[0] if match else ""
    stem = name[: len(name) - len(extension)]
    return f"{stem[: longest - len(digest) - len(extension) - 1]}-{digest}{extension}"


@dataclass(frozen=True, slots=True)
class _Field:
    """One ``%…`` of a template: an attribute and what is done to its value."""

    keyword: str
    apply: Apply | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        return _AGE_NEEDS if self.keyword == _AGE_IN_DAYS else (self.keyword,)

    def text(self, values: Mapping[str, str]) -> str:
        value = _age_in_days(values) if self.keyword == _AGE_IN_DAYS else values.get(self.keyword, "")
        return self.apply(value) if self.apply else value


def _age_in_days(values: Mapping[str, str]) -> str:
    birth, study = (values.get(keyword, "") for keyword in _AGE_NEEDS)
    days = days_between(birth, study)
    return "" if days is None else str(days)


@dataclass(frozen=True, slots=True)
class Template:
    """A naming template, parsed and checked.

    Parameters
    ----------
    text : str
        As it was written.
    parts : tuple
        Literal texts and fields, in order.
    keywords : frozenset of str
        The attributes that it needs.
    """

    text: str
    parts: tuple[str | _Field, ...] = field(repr=False)
    keywords: frozenset[str] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Template:
        """Read a template.

        Raises
        ------
        InvalidTemplate
            When a keyword, a function or its arguments are not known, or the template does not name one
            component of a path.
        """
        if "/" in text:
            _refuse(text, "holds a /", "A template names one directory or file; each level has its own.")
        if text in ("", ".", ".."):
            _refuse(text, "names nothing", "Put an attribute into it, such as %PatientID.")
        parts = tuple(_parts(text))
        needs = (keyword for part in parts if isinstance(part, _Field) for keyword in part.needs)
        return cls(text, parts, frozenset(needs))

    def render(self, values: Mapping[str, str]) -> str:
        """The template's text for one instance, as the attributes give it.

        Parameters
        ----------
        values : mapping of str to str
            Keyword to text; an attribute that is not there counts as "".
        """
        return "".join(part if isinstance(part, str) else part.text(values) for part in self.parts)

    def component(self, values: Mapping[str, str]) -> str:
        """The template's text for one instance as :func:`legal_component` of a path."""
        return legal_component(self.render(values))


def _parts(text: str) -> Iterator[str | _Field]:
    position = 0
    while position < len(text):
        percent = text.find("%", position)
        end = len(text) if percent < 0 else percent
        if end > position:
            yield text[position:end]
        position = end
        if percent >= 0:
            part, position = _field(text, percent + 1)
            yield part


def _field(text: str, start: int) -> tuple[_Field, int]:
    """The field whose ``%`` stands before ``start``, and where it ends."""
    if text.startswith("_", start):
        return _function_field(text, start)
    keyword = _keyword_at(text, start)
    if keyword is None:
        _refuse_keyword(text, _word_at(text, start))
    return _Field(keyword), start + len(keyword)


def _function_field(text: str, start: int) -> tuple[_Field, int]:
    call = _CALL.match(text, start)
    name = call[1] if call else _word_at(text, start + 1)
    if call is None or name not in FUNCTIONS:
        _refuse_function(text, name)
    if call[2] == "_":
        arguments, keyword_start = "", call.end()
    else:
        arguments, keyword_start = _arguments(text, call.end())
    keyword = _keyword_at(text, keyword_start)
    if keyword is None:
        _refuse_keyword(text, _word_at(text, keyword_start))
    try:
        apply = FUNCTIONS[name](arguments)
    except ValueError as error:
        _refuse(text, f"gives {name} the arguments {arguments!r}", f"{name} takes {error}.")
    seed = _seed(text, arguments) if apply is invented_name and arguments else keyword
    return _Field(seed, apply), keyword_start + len(keyword)


def _arguments(text: str, start: int) -> tuple[str, int]:
    """A function's arguments, and where the keyword after them starts.

    They may hold underscores of their own: they end at the first one that a keyword follows.
    """
    field_end = text.find("%", start)
    if field_end < 0:
        field_end = len(text)
    first = underscore = text.find("_", start, field_end)
    while underscore >= 0:
        if _keyword_at(text, underscore + 1):
            return text[start:underscore], underscore + 1
        underscore = text.find("_", underscore + 1, field_end)
    return "", first + 1 if first >= 0 else field_end


def _word_at(text: str, start: int) -> str:
    match = _WORD.match(text, start)
    return match[0] if match else ""


def _keyword_at(text: str, start: int) -> str | None:
    """The longest keyword that the text has at this place."""
    word = _word_at(text, start)
    if word in _COMMON_KEYWORDS or word == _AGE_IN_DAYS:
        return word
    known = _dictionary() if word else {}
    for length in range(len(word), 0, -1):
        if word[:length] in known or word[:length] == _AGE_IN_DAYS:
            return word[:length]
    return None


def _dictionary() -> Mapping[str, int]:
    from pydicom.datadict import keyword_dict

    return keyword_dict


def _seed(text: str, word: str) -> str:
    """The attribute that an invented name hangs on; templates in use write patientID for PatientID."""
    if word in _COMMON_KEYWORDS:
        return word
    by_lower = {keyword.lower(): keyword for keyword in _dictionary()}
    if word.lower() not in by_lower:
        _refuse_keyword(text, word)
    return by_lower[word.lower()]


def _refuse(text: str, fault: str, cure: str = "") -> NoReturn:
    raise InvalidTemplate(f"The naming template {text!r} {fault}", cure)


def _refuse_keyword(text: str, word: str) -> NoReturn:
    if not word:
        _refuse(text, "has a % (or a function) without an attribute after it")
    near = _nearest(word, [*_dictionary(), _AGE_IN_DAYS])
    _refuse(text, f"names an attribute {word} that DICOM does not have", near)


def _refuse_function(text: str, name: str) -> NoReturn:
    known = f"The functions are {', '.join(sorted(FUNCTIONS))}."
    cure = f"{_nearest(name, list(FUNCTIONS))} {known}".strip()
    _refuse(text, f"names a function {name!r} that is not known", cure)


def _nearest(word: str, known: list[str]) -> str:
    from difflib import get_close_matches

    by_lower = {name.lower(): name for name in known}
    near = [by_lower[match] for match in get_close_matches(word.lower(), by_lower)]
    return f"Did you mean {' or '.join(near)}?" if near else ""


_ROOT = Template.parse("%PatientID-%PatientName-%PatientBirthDate")
_STUDY = Template.parse("%StudyDescription-%AccessionNumber-%StudyDate")
_SERIES = Template.parse("%_pad|5,0_SeriesNumber-%SeriesDescription-%_md5|7_SeriesInstanceUID")
_IMAGE = Template.parse("%_pad|4,0_InstanceNumber-%SOPInstanceUID.dcm")


@dataclass(frozen=True, slots=True)
class TreeTemplates:
    """The four templates that place an instance in a tree: root (a patient), study, series, image."""

    root: Template = _ROOT
    study: Template = _STUDY
    series: Template = _SERIES
    image: Template = _IMAGE

    @property
    def keywords(self) -> frozenset[str]:
        """The attributes that the four need."""
        return self.directory_keywords | self.image.keywords

    @property
    def directory_keywords(self) -> frozenset[str]:
        """The attributes that the names of directories need."""
        return self.root.keywords | self.study.keywords | self.series.keywords

    def directories(self, values: Mapping[str, str]) -> tuple[str, str, str]:
        """The directories of an instance with these attributes, one in another: root, study, series.

        Two instances have the same name in there where the image's template does not tell them apart; a
        caller that finds it taken uses :func:`distinct_component`.
        """
        return self.root.component(values), self.study.component(values), self.series.component(values)


#: Names in storage, where what ChRIS is told of a patient's age shows in the name of a study.
STORAGE_TEMPLATES = TreeTemplates(
    study=Template.parse("%StudyDescription-%AccessionNumber-%StudyDate-%PatientAge-%AgeInDays")
)
