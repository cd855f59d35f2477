"""Images with the UIDs of one patient's series that say that they are another's."""

from __future__ import annotations

from pathlib import Path

from pydicom import dcmread

from demo.studies import Study, stable_uid

#: Three images of one series.
LOCALIZER = Study("STRAY-1", attributes={"PatientName": "Doe^Jane", "StudyDate": "20200229"}).series(
    1, instances=3, SeriesDescription="Localizer"
)

#: Who the others say that they are of.
OTHER = {"PatientID": "OTHER-9", "PatientName": "Roe^Richard", "PatientBirthDate": "19900101"}


def of_another(files: list[Path], directory: Path, *, same_images: bool = False, **values: str) -> list[Path]:
    """Copies that are of another patient, or as told.

    Parameters
    ----------
    files : list of pathlib.Path
    directory : pathlib.Path
        Where to.
    same_images : bool
        Whether their SOP Instance UIDs stay.
    values : str
        By keyword what they say otherwise.
    """
    directory.mkdir()
    copies = []
    for number, file in enumerate(files):
        image = dcmread(file)
        image.update(values or OTHER)
        if not same_images:
            image.SOPInstanceUID = stable_uid("other", directory.name, number)
            image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        copies.append(directory / f"{number}.dcm")
        image.save_as(copies[-1], enforce_file_format=True)
    return copies
