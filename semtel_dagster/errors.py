"""The errors a user can meet. Each message says what happened, with which value, and what to do.

No error carries conversation text.
"""


class SemtelError(Exception):
    """The root of every error that semtel_dagster raises on purpose."""


class SettingsError(SemtelError):
    """A setting, an argument or a prompt file is wrong; the command line exits with code 2."""


class SourceError(SemtelError):
    """The conversation source cannot be read, or matches nothing; the command line exits with code 2."""


class EndpointError(SemtelError):
    """An endpoint cannot be used at all: wrong address, wrong key, model unknown."""


class DependencyError(SemtelError):
    """An optional package or program is missing; the message names what to install."""
