"""Where series are pushed to: Swift, a mounted filesystem, another PACS. Nothing here knows the catalogue."""
