"""Searches over the frames of a CTC model: three back ends behind one set of settings and one result."""
