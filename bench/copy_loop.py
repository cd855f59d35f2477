"""The least that packing can be: read the same attributes with pydicom, copy the files. A script of its own.

Usage: copy_loop.py SOURCE TARGET PROCESSES KEYWORD...
"""

from __future__ import annotations

import shutil
import sys
from functools import partial
from multiprocessing import Pool
from pathlib import Path

from pydicom import dcmread

_CHUNK = 200


def read_and_copy(path: Path, target: Path, keywords: list[str]) -> dict[str, str]:
    instance = dcmread(path, stop_before_pixels=True)
    values = {keyword: str(instance.get(keyword, "")) for keyword in keywords}
    shutil.copyfile(path, target / path.name)
    return values


def main() -> None:
    source, target, processes, *keywords = sys.argv[1:]
    work = partial(read_and_copy, target=Path(target), keywords=keywords)
    paths = sorted(Path(source).iterdir())
    if processes == "1":
        for path in paths:
            work(path)
        return
    with Pool(int(processes)) as pool:
        pool.map(work, paths, _CHUNK)


if __name__ == "__main__":
    main()
