"""The file of the audit log: nothing is lost, torn or readable by others."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
import time
from pathlib import Path

import pytest

from pypx.basemount import audit
from pypx.basemount.audit import Entry, files, write
from pypx.basemount.layout import Basemount


@pytest.fixture
def basemount(tmp_path: Path) -> Basemount:
    return Basemount.of_log_directory(tmp_path / "log")


def lines_of(basemount: Basemount) -> list[dict[str, object]]:
    return [json.loads(line) for file in files(basemount) for line in file.read_text().splitlines()]


def test_a_line(basemount: Basemount) -> None:
    entry = Entry(
        "push", "disk-full", "A@h:104", "swift x", ("1.2",), ("1.2.3",), ("a",), {"files": 3, "x": 0}
    )
    assert write(basemount, entry.lines("px-push"))
    (line,) = lines_of(basemount)
    assert line.pop("time")
    assert isinstance(line.pop("user"), str)
    assert line.pop("host") == os.uname().nodename
    assert (line.pop("uid"), line.pop("pid")) == (os.getuid(), os.getpid())
    assert line.pop("version")
    assert line == {
        "what": "push",
        "outcome": "disk-full",
        "tool": "px-push",
        "from": "A@h:104",
        "to": "swift x",
        "keys": ["a"],
        "counts": {"files": 3},
        "studies": ["1.2"],
        "series": ["1.2.3"],
    }
    (file,) = files(basemount)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_is_no_uid_is_not_written(basemount: Basemount) -> None:
    write(basemount, Entry("find", studies=("Doe^Jane", "1.2", "1.2", "", "1" * 65)).lines("px-find"))
    assert lines_of(basemount)[0]["studies"] == ["1.2"]


def test_many_uids_stand_in_several_lines(basemount: Basemount) -> None:
    uids = tuple(f"1.2.{number}" for number in range(2500))
    write(basemount, Entry("find", series=uids).lines("px-find"))
    lines = lines_of(basemount)
    assert [line["part"] for line in lines] == [[1, 3], [2, 3], [3, 3]]
    assert [uid for line in lines for uid in line["series"]] == list(uids)  # type: ignore[attr-defined]
    assert len({str(line["time"]) for line in lines}) == 1


def test_nothing_is_written_where_there_is_no_basemount(tmp_path: Path) -> None:
    assert not write(Basemount.of_log_directory(tmp_path / "none" / "log"), ["{}"])
    assert list(tmp_path.iterdir()) == []


def _write_many(root: Path, number: int) -> None:
    basemount = Basemount.of_log_directory(root / "log")
    for place in range(200):
        lines = Entry("push", counts={"writer": number + 1, "place": place + 1}).lines("px-push")
        write(basemount, lines, largest=50_000, kept=audit.KEPT)


def test_eight_processes_at_once_while_files_are_put_aside(basemount: Basemount) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(basemount.root, number)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    written = [
        (line["counts"]["writer"], line["counts"]["place"])  # type: ignore[index]
        for line in lines_of(basemount)
    ]
    assert sorted(written) == [(number, place) for number in range(1, 9) for place in range(1, 201)]
    assert len(list(files(basemount))) > 3
    assert all(file.stat().st_size <= 50_000 for file in files(basemount))
    assert {stat.S_IMODE(file.stat().st_mode) for file in files(basemount)} == {0o600}


def test_so_many_files_are_kept_and_the_latest_lines_are_in_them(basemount: Basemount) -> None:
    for number in range(100):
        write(basemount, [json.dumps({"number": number, "rest": "x" * 300})], largest=1000, kept=3)
    kept = [line["number"] for line in lines_of(basemount)]
    assert len(list(files(basemount))) == 4
    assert kept == list(range(kept[0], 100))  # type: ignore[call-overload]


def test_a_line_that_was_cut_takes_no_other_with_it(basemount: Basemount) -> None:
    basemount.log.mkdir()
    (basemount.log / "audit.jsonl").write_text('{"time": "2026-')
    write(basemount, ['{"whole": 1}'])
    assert (basemount.log / "audit.jsonl").read_text().splitlines()[1:] == ['{"whole": 1}']


def test_a_link_is_not_followed(basemount: Basemount, tmp_path: Path) -> None:
    basemount.log.mkdir()
    victim = tmp_path / "victim"
    victim.touch()
    (basemount.log / "audit.jsonl").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic"):
        write(basemount, ["{}"])
    assert victim.read_text() == ""


def test_what_it_costs(basemount: Basemount) -> None:
    entry = Entry("push", studies=("1.2",) * 10, series=tuple(f"1.2.{number}" for number in range(10)))
    write(basemount, entry.lines("px-push"))
    # The processor's time, since others may be at work on this machine; and even that is longer then.
    seconds = []
    for _ in range(100):
        begun = time.process_time()
        write(basemount, entry.lines("px-push"))
        seconds.append(time.process_time() - begun)
    assert min(seconds) < 0.002
