"""What the suite does, one file a verb: typed values in, a typed result out, nothing printed."""
