"""Run command lines side by side and say how long they took and how large they became; a script of its own.

A process counts as its own largest size that of the one it was started from, so what starts the programs that
are measured must be small: this, not the benchmark with all that it has imported.

Takes on standard input ``{"commands": [argv, ...], "stdin": path, "stdout": path}``, gives on standard output
``{"seconds": s, "kilobytes": n, "failed": text}``.
"""

import json
import os
import sys
import tempfile
import time


def main() -> None:
    asked = json.load(sys.stdin)
    with (
        open(asked["stdin"], "rb") as source,  # noqa: PTH123  (pathlib is half of what this needs to start)
        open(asked["stdout"], "wb") as sink,  # noqa: PTH123
        tempfile.TemporaryFile() as said,
    ):
        streams = [
            (os.POSIX_SPAWN_DUP2, stream.fileno(), number)
            for number, stream in enumerate((source, sink, said))
        ]
        started = time.perf_counter()
        processes = [
            os.posix_spawn(argv[0], argv, os.environ, file_actions=streams) for argv in asked["commands"]
        ]
        ended = [os.wait4(process, 0) for process in processes]
        seconds = time.perf_counter() - started
        failed = [os.waitstatus_to_exitcode(status) for _, status, _ in ended if status]
        said.seek(0)
        told = f"ended with {failed}: {said.read().decode(errors='replace')}" if failed else ""
    kilobytes = max(usage.ru_maxrss for _, _, usage in ended)
    json.dump({"seconds": seconds, "kilobytes": kilobytes, "failed": told}, sys.stdout)


if __name__ == "__main__":
    main()
