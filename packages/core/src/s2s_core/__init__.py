"""The core of s2s: everything that two domains need, and nothing that only one does.

Importing this package is cheap: torch and Lightning load with the modules that use them.
"""

__version__ = "0.1.0"
