"""pypx: query, retrieve and store medical images from a PACS."""

__version__ = "4.0.0"
