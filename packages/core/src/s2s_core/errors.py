"""The error that is the user's to mend."""


class UserError(Exception):
    """A mistake in what the user typed or supplied: a path, a row, a key, a value.

    The message is one line that names the thing and what was expected of it. The command line prints it
    without a traceback and exits with status 2.
    """
