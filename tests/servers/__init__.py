"""The servers that users have, started for the tests; dcmqrscp, which the demo needs too, is in ``demo``."""
