"""One file a console script: options in, one action called, its result printed."""
