"""`python -m tests.protocols.corpus_report`: how the recorded exchanges fare, an API a line, as a Markdown table."""

import sys
from collections import Counter

from tests.corpus import ABSENT, exchanges
from tests.protocols import corpus_judge
from tests.protocols.corpus_judge import JUDGE, Judge
from tests.protocols.corpus_replay import replay
from tests.protocols.corpus_scope import LABELS, label_of, registry_for


def main() -> int:
    recorded = exchanges()
    if not recorded or not JUDGE.is_dir():
        sys.stderr.write((corpus_judge.ABSENT if recorded else ABSENT) + "\n")
        return 1
    registry, judge = registry_for(recorded), Judge()
    passed = asked = 0
    out_of_scope: Counter[str] = Counter()
    sys.stdout.write("| API | recordings | pass | asked | out of scope |\n|---|---:|---:|---:|---:|\n")
    for label in LABELS:
        tally = replay([exchange for exchange in recorded if label_of(exchange) == label], registry, judge)
        out = tally.out_of_scope.total()
        sys.stdout.write(f"| {label} | {tally.asked + out} | {tally.passed} | {tally.asked} | {out} |\n")
        for id, found in tally.failed.items():
            sys.stderr.write(f"{label} {id}: {found[0][:300]}\n")
        passed, asked, out_of_scope = passed + tally.passed, asked + tally.asked, out_of_scope + tally.out_of_scope
    sys.stdout.write(f"| all | {len(recorded)} | {passed} | {asked} | {out_of_scope.total()} |\n\nOut of scope:\n\n")
    for reason, count in out_of_scope.most_common():
        sys.stdout.write(f"- {count}: {reason}\n")
    return 0 if passed == asked else 1


if __name__ == "__main__":
    sys.exit(main())
