"""What was checked and how it went."""


class Skip(Exception):
    """A check cannot be made here; the message says why."""


class Failure(Exception):
    """A check failed; the message says what was expected and what was found."""


class Report:
    """Prints a line a check and counts them."""

    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.skipped = 0

    def check(self, name, function, *arguments):
        """Runs one check and prints how it went."""
        try:
            function(*arguments)
        except Skip as reason:
            self.skipped += 1
            print(f"SKIPPED ({reason}) {name}", flush=True)
        except Exception as error:  # whatever went wrong, the others still run
            self.failed += 1
            lines = f"{type(error).__name__}: {error}".splitlines()
            print("\n        ".join([f"FAILED  {name}", *lines[:40]]), flush=True)
        else:
            self.passed += 1
            print(f"ok      {name}", flush=True)

    def group(self, name, function):
        """Runs the checks of one file, which share what it sets up."""
        try:
            function(self)
        except Skip as reason:
            self.skipped += 1
            print(f"SKIPPED ({reason}) {name}", flush=True)

    def close(self):
        """Prints the count; the exit code."""
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        return 1 if self.failed else 0


def expect(what, found, expected):
    """Fails unless the two are equal."""
    if found != expected:
        raise Failure(f"{what}: expected {expected}, found {found}")


def expect_within(what, found, least, most):
    """Fails unless `found` lies between the two."""
    if not least <= found <= most:
        raise Failure(f"{what}: expected {least} to {most}, found {found}")
