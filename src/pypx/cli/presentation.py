"""How a find and what verbs do with it are shown: as JSON, as a report, or as it goes (--withFeedBack)."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any

from pypx.actions.do import Done, Feedback, SeriesDone
from pypx.actions.found import Found, FoundSeries, FoundStudy, json_pieces
from pypx.actions.progress import Progress
from pypx.cli import edge, terminal
from pypx.cli.progress import progress_bar
from pypx.cli.surroundings import unseen
from pypx.cli.verbs import Chain
from pypx.printable import printable


@dataclass(frozen=True, slots=True)
class Presentation:
    """What is shown, and where.

    Parameters
    ----------
    tool : str
        The name before each sentence.
    as_json : bool
        JSON on stdout; else a report is there.
    with_feedback : bool
        Each series is told of on stderr as it goes, instead of a report and of progress bars.
    """

    tool: str
    as_json: bool
    with_feedback: bool = False

    @property
    def is_report(self) -> bool:
        """Whether there is a report on stdout."""
        return not self.as_json and not self.with_feedback

    def progress(self) -> AbstractContextManager[Progress]:
        """Show steps of work, where lines of feedback do not."""
        return unseen() if self.with_feedback else progress_bar()

    def report(self, founds: Sequence[Found], options: Mapping[str, Any]) -> None:
        """The verb "report"."""
        from pypx.cli.report import show_as_asked

        if self.is_report or self.with_feedback:
            show_as_asked(founds, options, sys.stdout if self.is_report else sys.stderr)

    def finish(self, found: Found, chain: Chain, *, wait: bool = False) -> int:
        """Run verbs over what was found, show how it ended, and give the exit status.

        Parameters
        ----------
        found : Found
        chain : Chain
        wait : bool
            End only with Ctrl-C.
        """
        verbs = () if found.error else chain.verbs
        if self.is_report and found.studies and not any(verb.name == "report" for verb in verbs):
            from pypx.cli.report import show_report

            show_report([found])
        if verbs:
            found, done = chain.over(found, _feedback() if self.with_feedback else None)
            if self.is_report:
                terminal.write_pieces(f"{line}\n" for line in _lines(found, done))
            if not self.as_json or self.with_feedback:
                self._say_counts(done)
        edge.write_json_pieces(lambda indent: json_pieces(found, indent), shown=self.as_json)
        if found.error:
            terminal.say(self.tool, found.error.sentence)
        if wait:
            with suppress(KeyboardInterrupt):
                terminal.say(self.tool, "done; Ctrl-C ends this")
                while True:
                    # Not signal.pause(): that would miss a signal of the moment before it.
                    time.sleep(1.0)
        return 1 if found.error else 0

    def _say_counts(self, done: Done) -> None:
        for verb in done.verbs:
            results = [one for _, of_study in verb.studies for one in of_study]
            good = sum(1 for one in results if not one.error and not one.is_skipped)
            line = f"{verb.name}: {good} of {len(results)} series"
            if self.is_report:
                terminal.write_stdout(line)
            else:
                terminal.write_stderr(line)


def _feedback() -> Feedback:
    """Tell of each series on stderr, as it goes."""
    return Feedback(
        lambda verb, study: terminal.write_stderr(_study_line(verb, study)),
        lambda series, done: terminal.write_stderr(_series_line(series, done)),
    )


def _lines(found: Found, done: Done) -> Iterator[str]:
    for verb in done.verbs:
        for study, (_, results) in zip(found.studies, verb.studies, strict=True):
            yield _study_line(verb.name, study)
            for series, result in zip(study.series, results, strict=True):
                yield _series_line(series, result)


def _study_line(verb: str, study: FoundStudy) -> str:
    names = ("PatientID", "PatientName", "StudyDate", "StudyDescription")
    said = " ".join(study.values[name] for name in names if study.values.get(name))
    return f"{verb}: {printable(said or study.uid)}"


def _series_line(series: FoundSeries, done: SeriesDone) -> str:
    mark = "!" if done.error else "-" if done.is_skipped else "+"
    return f"  {mark} {printable(_name(series))}  {printable(done.words)}"


def _name(series: FoundSeries) -> str:
    """What a person calls a series; a UID leaves no room for anything else on a line of 80 columns."""
    values = series.values
    if values.get("SeriesDescription"):
        return values["SeriesDescription"]
    number = values.get("SeriesNumber")
    return f"series {number} {values.get('Modality', '')}".rstrip() if number else series.uid
