"""The commands of the manual that no test runs."""

from __future__ import annotations

import re
from collections.abc import Mapping

#: How such a command begins, and why it is not run.
OMITTED: Mapping[str, str] = {
    r"(sudo )?apt-get ": "installs software on the machine; bin/test does, before it runs the tests",
    r"pip install ": "downloads software; bin/test does, before it runs the tests",
    r"bin/demo": "installs software, too; tests/integration/test_demo.py runs what it runs after that",
    r"bin/test\b": "runs this test",
    r"workflow\.sh --demo": "installs software, too; tests/integration/test_workflow.py runs it",
    r"PACS_QR\.sh (?!.*--runtime local)": "needs a container engine; test_pacs_qr_engines.py asks one",
    r"docker ": "needs a container engine; bin/test-image does what these do without one",
    r"sudo -u postgres ": "needs the database of the system; the tests have one with such a role",
    r".*--tlsKey": "needs a PACS with TLS, and certificates; test_tls.py and test_listen_tls.py make them",
    r"sudo systemctl |systemctl |journalctl ": "needs systemd",
}


def is_omitted(command: str) -> bool:
    """Whether it is one of these."""
    return any(re.match(pattern, command) for pattern in OMITTED)
