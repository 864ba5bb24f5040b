"""One page of a run: what was trained, where, how it went, and samples to judge it by."""
