"""How a file is to be scored, as one thing: what a command asks and `score.score_artifact` does. Imports no torch."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scoring:
    """How an artifact is scored.

    Parameters
    ----------
    length
        Targets a sequence; 0 means as it was trained.
    tokens
        Score only the first so many targets (whole sequences); 0 means all.
    method
        sequential as the challenge does, sliding windows, documents (none sees another document's text), or adapting
        (sequential, and learning from each chunk of text after it was scored).
    stride
        Targets a window adds, for sliding and documents; 0 means half a sequence.
    rate
        Rate of gradient descent, for adapting; as configured if not given.
    precision
        Of matrix products: auto (as a run here would choose), float32 or bfloat16; as configured if not given.
    """

    length: int = 0
    tokens: int = 0
    method: str = "sequential"
    stride: int = 0
    rate: float | None = None
    precision: str = ""

    def changes(self) -> dict[str, object]:
        """The settings of the configuration that this one changes."""
        changes: dict[str, object] = {"eval_method": self.method, "eval_stride": self.stride}
        if self.precision:
            changes["precision"] = self.precision
        return changes if self.rate is None else changes | {"adapt_rate": self.rate}


PLAIN = Scoring()  # as the challenge does, all of it
