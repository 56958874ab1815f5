"""Pages of the behaviour probes, PG511 to PG514: rules that need a scorer to call, not a folder to read.

An audit of a folder never runs them, so it does not list them as unchecked either. `--explain PG511` prints the page
here; `bpb_audit.behaviour.probe` runs them and returns findings under these codes.
"""

from .rules import Rule, never

RUN = """It needs a scorer, so `pglab audit` on a folder does not run it; call it from Python:

    from bpb_audit.behaviour import from_log_probabilities, probe
    findings = probe(from_log_probabilities(predict), documents, vocab_size)

documents: a list of (T,) int64 token ids, each beginning with the document mark. predict(ids (T,)) -> (T, V) natural
log probabilities, row t for the token after ids[t]. `alone` wraps a function that returns nats, and any
callable of all documents will do where state is carried between them. {}"""

CAUSALITY = """Changes what follows a token in four ways; no score up to that token may move.

The ways: random tokens, the same tokens permuted, everything cut off, and later documents in another order, at six
random places of the given documents. A cache filled before scoring, training on a chunk before it is scored, and an
attention mask that leaks move them. Tolerance: 0.0001 nats; floating point on a GPU may need more. A probe can show a
fault but not its absence; the finding says what was tried.

{}

Fix: score every token before anything learns from it or from what follows it."""

NORMALISATION = """Puts every token of the vocabulary in a target's place; what they are charged must sum to one.

Hashed n-gram caches that are not normalised, and mixtures gated by the target, sum to something else, and their bits
per byte are not a code length. Costs one call for each token of the vocabulary and place; where `calls` does not
suffice, the tokens of the documents go first: a sum above one is a fault, one below is unchecked. Tolerance: 0.001.

{}

Fix: mix distributions over the whole vocabulary, with weights that do not see the target."""

TARGETS = """Replaces targets one by one in a function that returns distributions; the row for that place must stay.

Every row must also sum to one. It catches mixtures whose weights look at the answer: which of two models is asked, or
how strongly, may depend on the context alone. Tolerance: 0.0001 in probability.

{}

Fix: choose mixture weights from the context alone."""

REPEAT = """Scores the same documents twice; the same call must give the same scores.

Otherwise one call teaches the next: a cache or adapted weights outlive the evaluation, and a second run is scored with
knowledge of the text. Tolerance: 0.0001 nats.

{}

Fix: begin each evaluation from the same state."""

ALONE = "`probe` runs this one with two others; alone it is `{}` in the same module."
TARGETS_RUN = "`probe` leaves this one out, as it takes `predict` itself: `finding(probe_targets(predict, documents))`."

PAGES = {
    code: Rule(code, title, never, page.format(RUN.format(how)))
    for code, title, page, how in (
        ("PG511", "scores do not depend on what follows", CAUSALITY, ALONE.format("probe_causality")),
        ("PG512", "probabilities sum to one", NORMALISATION, ALONE.format("probe_normalisation")),
        ("PG513", "distributions do not look at their target", TARGETS, TARGETS_RUN),
        ("PG514", "the same call gives the same scores", REPEAT, ALONE.format("probe_repeat")),
    )
}
