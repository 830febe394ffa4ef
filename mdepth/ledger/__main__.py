"""``python -m mdepth.ledger --counts``: a summary of the ledger; without ``--counts`` the rows as lines of
text.
"""

import argparse
import sys
from collections import Counter

from mdepth.ledger.compare import VERDICTS
from mdepth.ledger.join import Row
from mdepth.ledger.judging import WORDS, ClaimRow, claims
from mdepth.ledger.tables import counts, numbers, rows


def summary(ledger: list[Row], judged: list[ClaimRow]) -> str:
    """A few lines: numbers by verdict, by source, and claims by word."""
    printed, words = numbers(ledger), Counter(claim.verdict for claim in judged)
    lines = [
        f"{len(printed)} reported numbers: " + ", ".join(f"{n} {word}" for word, n in counts(printed).items())
    ]
    lines += [f"  {name}: {number}" for name, number in Counter(row.source for row in printed).items()]
    doubtful = sum(row.verified == "unverified" for row in printed)
    lines.append(f"  of these, {doubtful} are unverified: not read where the source prints them")
    lines.append(f"tables that could not be read: {len(ledger) - len(printed)}")
    lines.append("claims: " + ", ".join(f"{words[word]} {word}" for word in WORDS))
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Print what was asked for; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m mdepth.ledger", description=__doc__)
    parser.add_argument("--counts", action="store_true", help="only the summary")
    parser.add_argument("--source", action="append", help="only this source; may be given again")
    parser.add_argument("--verdict", choices=VERDICTS, help="only rows with this verdict")
    options = parser.parse_args(arguments)
    ledger, judged = rows(options.source), claims(options.source)
    if not options.counts:
        for row in ledger:
            if options.verdict in (None, row.verdict):
                value = f"reported {row.reported}  reference {row.reference} [{row.level}]"
                print(f"{row.id}  {value}  {row.verdict_text}")
        for claim in judged:
            print(f"{claim.id}  {claim.verdict}  {claim.statement}")
    print(summary(ledger, judged))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # whoever read the lines has seen enough
        sys.stderr.close()
