"""How a command fails on purpose."""


class HostError(Exception):
    """What is wrong, and what a person can do about it. Both are one clear sentence without a full stop."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix

    def __str__(self) -> str:
        return f"error: {self.what}\nfix: {self.fix}"
