"""Errors meant for people."""


class UserError(Exception):
    """A mistake a person can mend: says what was found, what was expected and what to do.

    Notebooks show the message alone, without a traceback; command lines print it and exit with 2.
    """

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


def reason(error: Exception) -> str:
    """Say in words why something failed, without the path that the system's own text would repeat."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
