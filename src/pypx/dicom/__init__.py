"""All that knows DICOM data: nodes, queries, headers, the integrity of a file, status codes."""
