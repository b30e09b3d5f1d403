"""What is wrong with a manifest, and where? Pure. All problems are told at once; nothing of a refused manifest is stored."""

from collections.abc import Sequence
from dataclasses import dataclass

from clusterd.model.errors import BadInput

PROBLEMS_SHOWN_MAX = 50


@dataclass(frozen=True, slots=True, order=True)
class ManifestProblem:
    """`line` counts from 1; `path` names the place as in groups[0].resources[1].type."""

    line: int
    path: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.path}: {self.message}" if self.path else f"line {self.line}: {self.message}"


class BadManifest(BadInput):
    """The manifest is refused. Nothing of it was stored."""

    def __init__(self, problems: Sequence[ManifestProblem]) -> None:
        self.problems = sorted(set(problems))
        shown = [f"\n  {each}" for each in self.problems[:PROBLEMS_SHOWN_MAX]]
        rest = len(self.problems) - len(shown)
        if rest > 0:
            shown.append(f"\n  and {rest} more")
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__(
            f"the manifest has {count}, and nothing of it was stored:{''.join(shown)}",
            hint="mend the lines named and apply it again",
        )
