"""The forge that is a plain git repository."""
