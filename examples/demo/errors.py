"""What can go wrong in a way that a person can mend."""


class DemoError(Exception):
    """The text says what to do."""


class CannotMount(DemoError):
    """The right to mount is missing."""
