"""pypx: query, retrieve and store medical images from a PACS."""

import logging

# Whoever imports this decides what is shown of the log, and where (the logging cookbook of Python's manual).
logging.getLogger("pypx").addHandler(logging.NullHandler())

__version__ = "4.0.0"
