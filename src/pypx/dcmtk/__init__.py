"""All that knows DCMTK's binaries. Nothing else in the project starts one, and nothing starts a shell."""
