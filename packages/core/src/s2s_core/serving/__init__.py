"""``serve``: a trained checkpoint behind HTTP. Needs the extra ``s2s-core[serve]``."""
