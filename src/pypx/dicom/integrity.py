"""Whether an instance is whole, and whether two are the same."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pydicom.config import IGNORE
from pydicom.uid import UID

from pypx.dicom.elements import UNDEFINED_LENGTH, Damage
from pypx.dicom.fileformat import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, opened
from pypx.dicom.uid import LONGEST as LONGEST_UID

PIXEL_DATA = frozenset({0x7FE00010, 0x7FE00008, 0x7FE00009})
PIXEL_DATA_PROVIDER_URL = 0x00287FE0

#: Transfer syntaxes in which pixel data is not encapsulated.
_NATIVE = DEFLATED | {IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG}

#: Transfer syntaxes whose pixel data is to be asked for elsewhere (JPIP; PS3.5, A.6, A.7, A.9, A.10).
_REFERENCED = frozenset(f"1.2.840.10008.1.2.4.{last}" for last in (94, 95, 204, 205))

#: Encapsulated pixel data that has an empty offset table, the final delimiter and no fragment (PS3.5, A.4).
_NO_FRAGMENT = 16

#: SOP classes with pixels beside those called "... Image Storage".
_OTHER_IMAGES = frozenset(
    {
        "Corneal Topography Map Storage",
        "Enhanced US Volume Storage",
        "Ophthalmic Thickness Map Storage",
        "Parametric Map Storage",
        "RT Dose Storage",
        "Segmentation Storage",
    }
)


@dataclass(frozen=True, slots=True)
class PixelData:
    """The pixel data element of a file.

    Parameters
    ----------
    length : int
        As the element's header has it: bytes, or that the length is undefined.
    size : int
        Bytes that the value takes in the file.
    """

    length: int
    size: int


@dataclass(frozen=True, slots=True)
class PixelDescription:
    """What the Image Pixel Module says about the pixel data (PS3.3, C.7.6.3).

    Rows and columns that it does not say are 0, the rest 1.
    """

    rows: int
    columns: int
    samples: int
    bits: int
    frames: int
    interpretation: str

    @property
    def native_bytes(self) -> int:
        """The least number of bytes that pixel data of this kind has when it is not compressed."""
        # Two pixels share their chrominance (PS3.3, C.7.6.3.1.2).
        samples = 2 if self.interpretation == "YBR_FULL_422" and self.samples == 3 else self.samples
        return (self.rows * self.columns * samples * self.bits * self.frames + 7) // 8


def check_pixel_data(
    sop_class_uid: str,
    transfer_syntax: str,
    described: PixelDescription | None,
    pixels: PixelData | None,
) -> None:
    """See that an image has its pixels, all of them as far as their length tells.

    A file that ends between two elements is found out by this alone. Images that neither have nor describe
    pixels pass: headers on their own are sent about.

    Raises
    ------
    Damage
        When it has not.
    """
    if pixels is None:
        if described and is_image_class(sop_class_uid) and transfer_syntax not in _REFERENCED:
            raise Damage("it is an image without pixel data")
    elif pixels.length == UNDEFINED_LENGTH:
        if pixels.size <= _NO_FRAGMENT:
            raise Damage("its encapsulated pixel data is empty")
    elif described and transfer_syntax in _NATIVE and pixels.size < described.native_bytes:
        raise Damage(f"its pixel data has {pixels.size} bytes where {described.native_bytes} were due")


def is_image_class(sop_class_uid: str) -> bool:
    """Whether instances of this SOP class that describe pixels have them too (PS3.4, B.5; PS3.3, A.1.4)."""
    # What is longer than any UID is not kept in mind.
    return len(sop_class_uid) <= LONGEST_UID and _is_image_class(sop_class_uid)


@lru_cache(maxsize=1024)
def _is_image_class(sop_class_uid: str) -> bool:
    name = UID(sop_class_uid, validation_mode=IGNORE).name
    return "Image Storage" in name or name in _OTHER_IMAGES


def dataset_digest(path: Path) -> str:
    """A digest of an instance's data set, whatever its file meta information says.

    It is that of the data set's bytes as they are written (inflated, where they are deflated), so the same
    values in another transfer syntax, or padded otherwise, have another digest.

    Returns
    -------
    str
        SHA-256 in hexadecimal digits.

    Raises
    ------
    NotDicom, FileDamaged, FileUnreadable
        As :func:`pypx.dicom.header.read_header`, of which this notices only what stands before the data set.
    """
    digest = hashlib.sha256()
    with opened(path) as file:
        for piece in file.pieces():
            digest.update(piece)
    return digest.hexdigest()
