# SPDX-License-Identifier: GPL-2.0-or-later
#
# Stand-in for the module pycotap, as far as QEMU's functional tests use it

"""
QEMU's functional tests print TAP (Test Anything Protocol) through the module
pycotap, which not every distribution has.  This one is used where it is
missing: one line for each test as soon as it has ended, the reason for a
failure as comment lines, and the time that each took.
"""

import enum
import sys
import time
import unittest


class LogMode(enum.Enum):
    """Where a test's output goes; here always to stderr."""
    LogToError = 1


class TAPTestResult(unittest.TestResult):
    """Prints each result in TAP."""

    def __init__(self):
        super().__init__()
        self.count = 0
        self._started = 0.0
        self._reported = None

    def startTest(self, test):
        super().startTest(test)
        self._started = time.monotonic()
        self._reported = False

    def _report(self, test, word, note='', details=''):
        # A test that fails and whose clean-up fails too is still one test.
        if self._reported:
            self._comment(details)
            return
        self._reported = True
        self.count += 1
        took = time.monotonic() - self._started
        name = f'{type(test).__name__}.{getattr(test, "_testMethodName", "")}'
        print(f'{word} {self.count} - {name}{note}')
        self._comment(details)
        print(f'# {took:.1f} s', flush=True)

    @staticmethod
    def _comment(text):
        for line in text.splitlines():
            print(f'#   {line}')
        sys.stdout.flush()

    def addSuccess(self, test):
        super().addSuccess(test)
        self._report(test, 'ok')

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._report(test, 'ok', f' # SKIP {reason}')

    def addError(self, test, err):
        super().addError(test, err)
        self._report(test, 'not ok', details=self.errors[-1][1])

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._report(test, 'not ok', details=self.failures[-1][1])

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self._report(test, 'ok')

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self._report(test, 'not ok', details='passed, and should not have')


class TAPTestRunner:
    """Runs a suite; the plan comes first so that a crash is noticed."""

    def __init__(self, message_log=None, test_output_log=None):
        pass

    def run(self, suite):
        """Run @suite and return its result."""
        print('TAP version 13')
        print(f'1..{suite.countTestCases()}', flush=True)
        result = TAPTestResult()
        suite(result)
        return result
