"""The English words features count, grouped by what they tell.

Chosen by hand, once, from what each word asks of the reader; no list is fitted to any data set, so none
has to be refitted when the traffic changes. Lower-case ASCII words of letters and apostrophes: that is
what `core.Lexicon` takes. Prompts in other languages score on length, numbers, code and maths alone.
"""

from __future__ import annotations

from signalbox.core import ASKING, HARD, INSTRUCTION, NEGATION


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


REASONING = _words(
    """
    prove proof theorem lemma corollary derive derivation deduce infer induction contradiction hypothesis
    justify rigorous rigorously formally analyze analyse analysis evaluate critique compare contrast tradeoff
    tradeoffs assess synthesize synthesise reconcile interpret implication implications assumption assumptions
    counterexample fallacy causal causality explain why
    """
)

ENGINEERING = _words(
    """
    algorithm algorithms architecture asynchronous benchmark bottleneck complexity compiler concurrency concurrent
    deadlock debug design distributed encryption implement implementation infrastructure integrate kubernetes
    latency migrate migration microservice microservices optimize optimise optimization optimisation parallel
    profiling protocol recursion recursive refactor refactoring regression scalability scalable schema
    segfault stacktrace synchronization throughput traceback vulnerability vulnerabilities
    """
)

QUANTITATIVE = _words(
    """
    bayesian calculus coefficient combinatorics converge convergence covariance derivative differential
    eigenvalue eigenvector equation estimator expectation gradient inequality integral likelihood logarithm
    matrix modulo permutation permutations polynomial posterior probability probabilistic quadratic quantum
    simulate simulation statistical stochastic tensor topology variance vector
    """
)

PROFESSIONAL = _words(
    """
    amortization arbitrage audit compliance constitutional contract contractual diagnosis
    epidemiology forecast hedge indemnity jurisdiction liability litigation pathology pharmacology portfolio
    precedent prognosis regulatory statute strategy valuation
    """
)

NEGATIONS = _words(
    """
    no not never none nobody nothing nowhere neither nor without cannot can't don't doesn't didn't won't
    wouldn't shouldn't couldn't isn't aren't wasn't weren't haven't hasn't hadn't mustn't avoid exclude
    excluding except
    """
)

CONDITIONALS = _words(
    """
    if unless else otherwise whether provided providing assuming suppose given until only although though
    however whereas despite instead
    """
)

HARD_KEYWORDS = REASONING | ENGINEERING | QUANTITATIVE | PROFESSIONAL
NEGATIONS_AND_CONDITIONALS = NEGATIONS | CONDITIONALS

INSTRUCTIONS = _words(
    """
    add analyze analyse answer apply build calculate change check classify clean compare complete compose compute
    convert correct create debug define delete derive describe design determine develop discuss draft draw edit
    estimate evaluate explain extract fill find fix format generate give identify implement improve include
    insert justify list make match modify name optimize optimise outline paraphrase perform plan predict print
    produce propose prove provide rank read recommend refactor remove rename replace reply respond return review
    rewrite run search select show simplify solve sort split suggest summarize summarise tell test transform
    translate update use verify write
    """
)
"""Verbs that tell the reader to do something when they begin a sentence."""

LENGTH_UNITS = _words(
    """
    token tokens character characters word words line lines bullet bullets sentence sentences paragraph paragraphs
    page pages
    """
)
THOUGHT = _words("step thought think reasoning reason work working thinking")
PICTURES = _words(
    """
    image images picture pictures photo photos photograph photographs illustration illustrations drawing drawings
    painting paintings sketch sketches logo logos icon icons wallpaper wallpapers poster posters portrait portraits
    artwork artworks cartoon cartoons avatar avatars sticker stickers infographic infographics
    """
)
ASKING_WORDS = LENGTH_UNITS | THOUGHT | PICTURES
"""Words without which no pattern of `features.asked` can match."""

WORD_CLASSES: dict[str, int] = {
    word: HARD * (word in HARD_KEYWORDS)
    | NEGATION * (word in NEGATIONS_AND_CONDITIONALS)
    | INSTRUCTION * (word in INSTRUCTIONS)
    | ASKING * (word in ASKING_WORDS)
    for word in sorted(HARD_KEYWORDS | NEGATIONS_AND_CONDITIONALS | INSTRUCTIONS | ASKING_WORDS)
}
"""Word -> class bits, as `core.Lexicon` takes it. No word is hard and a negation at once; a test says so."""
