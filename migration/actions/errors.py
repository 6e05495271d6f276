class Refused(Exception):
    """What was asked cannot be done now; the message is a whole sentence for the person who asked."""

    told = False  # to the audit log already


class Stale(Refused):
    """The thing was changed by somebody else since the page was opened."""
