"""``python -m mdepth.ledger --counts``: a summary of the ledger; without ``--counts`` the rows as lines of
text.
"""

import argparse
import sys
from collections import Counter

from mdepth.ledger.compare import VERDICTS
from mdepth.ledger.join import Row
from mdepth.ledger.judging import claims
from mdepth.ledger.tables import claim_counts, counts, rows


def summary(ledger: list[Row], found: dict[str, int]) -> str:
    """A few lines: numbers by verdict, by source, and claims by word."""
    numbers = [row for row in ledger if row.column != "all"]  # the others stand for tables not read
    by_source = Counter(row.source for row in numbers)
    lines = [
        f"{len(numbers)} reported numbers: " + ", ".join(f"{n} {word}" for word, n in counts(numbers).items())
    ]
    lines += [f"  {name}: {number}" for name, number in by_source.items()]
    lines.append(f"  tables that could not be read: {len(ledger) - len(numbers)}")
    doubtful = sum(row.verified == "unverified" for row in numbers)
    lines.append(f"  of these numbers {doubtful} are unverified: not read where the source prints them")
    lines.append("claims: " + ", ".join(f"{number} {word}" for word, number in found.items()))
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Print what was asked for; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m mdepth.ledger", description=__doc__)
    parser.add_argument("--counts", action="store_true", help="only the summary")
    parser.add_argument("--source", action="append", help="only this source; may be given again")
    parser.add_argument("--verdict", choices=VERDICTS, help="only rows with this verdict")
    options = parser.parse_args(arguments)
    ledger = rows(options.source)
    if not options.counts:
        for row in ledger:
            if options.verdict in (None, row.verdict):
                value = f"reported {row.reported}  reference {row.reference} [{row.level}]"
                print(f"{row.id}  {value}  {row.verdict_text}")
        for claim in claims(options.source):
            print(f"{claim.id}  {claim.verdict}  {claim.statement}")
    print(summary(ledger, claim_counts(options.source)))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # whoever read the lines has seen enough
        sys.stderr.close()
