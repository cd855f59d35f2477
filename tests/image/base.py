"""debian:bookworm-slim where there is no registry: debootstrap, and what makes Debian's own image slim.

Made once and kept as an archive; made anew when this file has changed, or it is older than a month.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from .container import NAMESPACES
from .lent import apt_settings, proxies, sources

_DEFAULT_MIRROR = "http://deb.debian.org/debian"
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_MONTH = 30 * 24 * 3600.0

#: What Debian's image is configured with, by path.
_REMOVED = "/var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin"
_CONFIGURATION = {
    "etc/apt/apt.conf.d/docker-clean": (
        f'DPkg::Post-Invoke {{ "rm -f {_REMOVED} || true"; }};\n'
        f'APT::Update::Post-Invoke {{ "rm -f {_REMOVED} || true"; }};\n'
        'Dir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\n'
    ),
    "etc/apt/apt.conf.d/docker-gzip-indexes": 'Acquire::GzipIndexes "true";\n',
    "etc/apt/apt.conf.d/docker-no-languages": 'Acquire::Languages "none";\n',
    "etc/apt/apt.conf.d/docker-autoremove-suggests": 'Apt::AutoRemove::SuggestsImportant "false";\n',
    "etc/dpkg/dpkg.cfg.d/docker-apt-speedup": "force-unsafe-io\n",
    "etc/dpkg/dpkg.cfg.d/docker": (
        "path-exclude /usr/share/doc/*\npath-include /usr/share/doc/*/copyright\n"
        "path-exclude /usr/share/info/*\npath-exclude /usr/share/lintian/overrides/*\n"
        "path-exclude /usr/share/locale/*\npath-include /usr/share/locale/locale.alias\n"
        "path-exclude /usr/share/man/*\n"
    ),
    "etc/apt/sources.list.d/debian.sources": (
        f"Types: deb\nURIs: {_DEFAULT_MIRROR}\nSuites: {{release}} {{release}}-updates\nComponents: main\n"
        f"Signed-By: {_KEYRING}\n\n"
        f"Types: deb\nURIs: {_DEFAULT_MIRROR}-security\nSuites: {{release}}-security\nComponents: main\n"
        f"Signed-By: {_KEYRING}\n"
    ),
    "etc/resolv.conf": "",
    "etc/hosts": "",
    "etc/hostname": "",
}

#: Emptied: what debootstrap leaves behind, and what a slim image does without.
_EMPTIED = (
    *("dev", "var/lib/apt/lists", "var/cache/apt/archives", "var/log"),
    *("usr/share/info", "usr/share/lintian/overrides", "usr/share/man"),
)


def base_archive(cache: Path, release: str, say: Callable[[str], None]) -> Path:
    """The archive of a root of this release, made where the cache has none that is fresh.

    Raises
    ------
    subprocess.CalledProcessError
        When debootstrap fails; its log has been said.
    """
    recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    archive = cache / f"{release}-{os.uname().machine}-{recipe}.tar"
    if archive.exists() and time.time() - archive.stat().st_mtime < _MONTH:
        return archive
    say(f"Making a root of Debian {release} with debootstrap, once a month.")
    root = cache / "work" / "base"
    _bootstrap(root, release, say)
    _make_slim(root, release)
    new = archive.with_suffix(".new")
    subprocess.run(["tar", "--create", "--numeric-owner", "--xattrs", "-f", new, "-C", root, "."], check=True)
    for old in cache.glob(f"{release}-*.tar"):
        old.unlink()
    new.rename(archive)
    shutil.rmtree(root)
    return archive


def unpack(archive: Path, root: Path) -> None:
    """A root of one's own from the archive."""
    root.mkdir(parents=True)
    subprocess.run(["tar", "--extract", "--numeric-owner", "--xattrs", "-f", archive, "-C", root], check=True)


def _bootstrap(root: Path, release: str, say: Callable[[str], None]) -> None:
    mirror = next(
        (line.split()[1] for line in sources(release) if line.split()[2] == release), _DEFAULT_MIRROR
    )
    environment = {**os.environ, **{name.lower(): value for name, value in _proxies().items()}}
    log = root.with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    # Read by the dpkg in there: without it, each file is synchronised to the disk.
    fast = root / "etc/dpkg/dpkg.cfg.d/docker-apt-speedup"
    fast.parent.mkdir(parents=True)
    fast.write_text(_CONFIGURATION["etc/dpkg/dpkg.cfg.d/docker-apt-speedup"])
    command = [
        *NAMESPACES,
        "--mount-proc",
        "debootstrap",
        "--variant=minbase",
        f"--keyring={_KEYRING}",
        release,
        str(root),
        mirror,
    ]
    with log.open("wb") as said:
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    if done.returncode != 0:
        say(log.read_text(errors="replace"))
        done.check_returncode()


def _proxies() -> dict[str, str]:
    """debootstrap downloads with wget, which knows nothing of apt's settings."""
    of_apt = {"Acquire::http::Proxy": "HTTP_PROXY", "Acquire::https::Proxy": "HTTPS_PROXY"}
    settings = apt_settings()
    return {
        **{variable: settings[name] for name, variable in of_apt.items() if name in settings},
        **proxies(),
    }


def _make_slim(root: Path, release: str) -> None:
    for directory in _EMPTIED:
        _remove_files(root / directory)
    _remove_files(root / "usr/share/doc", but="copyright")
    _remove_files(root / "usr/share/locale", but="locale.alias")
    (root / "etc/apt/sources.list").unlink(missing_ok=True)
    for name, text in _CONFIGURATION.items():
        (root / name).write_text(text.replace("{release}", release))


def _remove_files(directory: Path, but: str = "") -> None:
    for parent, _, names in os.walk(directory):
        for name in names:
            if name != but:
                Path(parent, name).unlink()
