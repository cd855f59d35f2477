"""What px-smdb does with the catalogue: one module a group of actions."""
