"""What this machine lends to the steps of a build: its way to Debian's and Python's packages.

Mirrors, proxies, certificates and local directories that apt and pip are told of here are theirs while a
step runs, below ``/dev/lent``: nothing of it is in the root when the step has ended.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_PLACE = "/dev/lent"

#: Build arguments that an engine knows without a declaration (and their names in small letters).
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")

_APT_SETTINGS = re.compile(r"Acquire::(https?|Check-|Retries|Force|Proxy)", re.IGNORECASE)
_PIP_SETTINGS = frozenset(
    (
        *("index-url", "extra-index-url", "find-links", "no-index", "trusted-host"),
        *("cert", "client-cert", "proxy", "timeout", "default-timeout", "retries"),
    )
)
_PATH = re.compile(r"""(?:file://)?(?P<path>/[^\s"';,]+)""")


@dataclass
class Lent:
    """What a step gets beside its root.

    Parameters
    ----------
    environment : dict of str to str
    files : dict of str to str
        Path in the container, and text.
    mounts : dict of str to str
        Path in the container, and what is shown there.
    """

    environment: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    mounts: dict[str, str] = field(default_factory=dict)

    def path(self, outside: str) -> str:
        """Where in the container this file or directory of ours is.

        Of a directory, the whole top-level one is shown: a local index leads to files beside it.
        """
        path = Path(outside).resolve()
        shown = Path(*path.parts[:2]) if path.is_dir() else path
        places = {other: place for place, other in self.mounts.items()}
        if str(shown) not in places:
            places[str(shown)] = f"{_PLACE}/{len(self.mounts)}-{shown.name}"
            self.mounts[places[str(shown)]] = str(shown)
        return str(Path(places[str(shown)], path.relative_to(shown)))

    def setting(self, value: str) -> str:
        """A setting of ours as the container needs it: with the paths that it has for our files."""

        def replaced(found: re.Match[str]) -> str:
            outside = found["path"]
            if not Path(outside).exists():
                return found[0]
            return found[0].replace(outside, self.path(outside))

        return _PATH.sub(replaced, value)


def lent_by_this_machine(release: str) -> Lent:
    """All that a step of a build may use of this machine.

    Parameters
    ----------
    release : str
        Debian's, of the root: ``bookworm``.
    """
    lent = Lent()
    for name in ("resolv.conf", "hosts"):
        lent.mounts[f"/etc/{name}"] = f"/etc/{name}"
    _lend_apt(lent, release)
    _lend_pip(lent)
    return lent


def proxies() -> dict[str, str]:
    """The proxies that this machine's environment names, as build arguments."""
    both = {name: os.environ.get(name) or os.environ.get(name.lower()) for name in PROXIES}
    return {name: value for name, value in both.items() if value}


def sources(release: str) -> list[str]:
    """The lines of a sources.list that this machine gets packages of this release from."""
    form = "$(SITE) $(RELEASE) $(COMPONENT) $(ORIGIN)"
    told = _output("apt-get", "indextargets", "--format", form, "Created-By: Packages")
    found = dict.fromkeys(tuple(line.split()) for line in told.splitlines())
    return [
        f"deb {site} {suite} {component}"
        for site, suite, component, *origin in found
        if origin == ["Debian"] and (suite == release or suite.startswith(f"{release}-"))
    ]


def apt_settings() -> Mapping[str, str]:
    """How apt reaches its mirrors from here: proxies, certificates, patience."""
    told = re.findall(r'^(Acquire::\S+) "(.*)";$', _output("apt-config", "dump"), re.MULTILINE)
    return {name: value for name, value in told if value and _APT_SETTINGS.match(name)}


def _lend_apt(lent: Lent, release: str) -> None:
    lines = [f'{name} "{lent.setting(value)}";' for name, value in apt_settings().items()]
    if known := sources(release):
        lent.files[f"{_PLACE}/sources.list"] = "".join(f"{line}\n" for line in known)
        lines += [f'Dir::Etc::SourceList "{_PLACE}/sources.list";', 'Dir::Etc::SourceParts "/dev/null";']
    lent.files[f"{_PLACE}/apt.conf"] = "".join(f"{line}\n" for line in lines)
    lent.environment["APT_CONFIG"] = f"{_PLACE}/apt.conf"


def _lend_pip(lent: Lent) -> None:
    told = _output(sys.executable, "-m", "pip", "config", "list").splitlines()
    settings = {"cert": ssl.get_default_verify_paths().cafile or ""}
    # Files first: the environment wins over them.
    for line in sorted(told, key=lambda line: line.startswith(":env:")):
        name, _, value = line.partition("=")
        settings[name.rpartition(".")[2]] = str(ast.literal_eval(value))
    for name, value in settings.items():
        if name in _PIP_SETTINGS and value:
            lent.environment[f"PIP_{name.upper().replace('-', '_')}"] = lent.setting(value)


def _output(*command: str) -> str:
    if not shutil.which(command[0]):
        return ""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
