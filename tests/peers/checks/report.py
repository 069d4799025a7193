"""What was checked and how it went.

A check that cannot be made is SKIPPED, and fails the run: what was not checked did not pass. Who accepts that sets
SIDELIGHT_SKIPPED=allow; the run says then what it did not check.
"""

import os


def skips_fail():
    """Whether something that was skipped fails the run."""
    return os.environ.get("SIDELIGHT_SKIPPED", "fail") != "allow"


def verdict(passed, failed, skipped, more=""):
    """Prints the counts and what they mean; the exit code."""
    print(f"{passed} passed, {failed} failed, {skipped} skipped{more}")
    if failed:
        return 1
    if passed == 0:
        print("FAILED  nothing was checked")
        return 1
    if skipped and skips_fail():
        print("FAILED  what was skipped was not checked; SIDELIGHT_SKIPPED=allow accepts that")
        return 1
    if skipped:
        print(f"SIDELIGHT_SKIPPED=allow: {skipped} were NOT CHECKED, see above")
    return 0


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
        return verdict(self.passed, self.failed, self.skipped)


def expect(what, found, expected):
    """Fails unless the two are equal."""
    if found != expected:
        raise Failure(f"{what}: expected {expected}, found {found}")


def expect_within(what, found, least, most):
    """Fails unless `found` lies between the two."""
    if not least <= found <= most:
        raise Failure(f"{what}: expected {least} to {most}, found {found}")
