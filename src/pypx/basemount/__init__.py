"""All that knows the BASEMOUNT: where things lie, how they are named, and the catalogue (smdb)."""
