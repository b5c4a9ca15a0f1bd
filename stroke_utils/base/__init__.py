"""What every other wing may use: words, errors, places, files, progress, identity.

It knows nothing above it: no slice, no network, no notebook.
``vocabulary`` has the names, colours and published numbers; ``errors`` the mistakes a person can mend; ``paths`` the
roots; ``files`` writes whole files and holds locks; ``identity`` names derived things; ``progress`` shows work;
``templates`` fills texts; ``unfinished`` what a stopped training leaves to go on from; ``exercises`` checks a reader's
answer.
"""

__all__ = ["errors", "exercises", "files", "identity", "paths", "progress", "templates", "unfinished", "vocabulary"]
