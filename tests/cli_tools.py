"""What the tests of the command line share: a call in this process, what ``--json`` prints, what a mistake
looks like.
"""

import json
from typing import Any

from typer.testing import CliRunner, Result

from mdepth.cli import app


def invoke(*arguments: object) -> Result:
    """Run ``mdepth`` with these arguments in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="mdepth")


def read(*arguments: object) -> Any:
    """What ``--json`` prints."""
    result = invoke(*arguments, "--json")
    assert result.exit_code == 0, result.output + repr(result.exception)
    return json.loads(result.stdout)


def check_refused(result: Result, *words: str, after: tuple[str, ...] = ()) -> None:
    """Assert that a command ended as a mistake should: status 2 and one line of error with these words, and
    nothing before it but lines that begin with one of ``after``.
    """
    assert result.exit_code == 2, result.output + repr(result.exception)
    assert result.stdout == ""
    *before, error = result.stderr.splitlines()
    assert error.startswith("error: ")
    assert [line for line in before if not line.startswith(after)] == []
    assert "Traceback" not in result.output
    for word in words:
        assert word in error
