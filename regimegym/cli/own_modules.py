"""Where the user's own modules are found: rewards, features."""

import os
import sys


def find_own_modules() -> None:
    """Let the working folder be imported from, behind everything else: nothing there can take a library's name."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
