"""Requests that ended and marks that came, brought to the journal's files and to whoever asks for acceptance."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from signalbox.collector.afterwards import Terms
from signalbox.collector.join import Exchange
from signalbox.collector.journal.entry import VERSION, FeedbackEntry, encode
from signalbox.collector.journal.feedback import Counted, Feedback
from signalbox.collector.journal.recorder import request_entry
from signalbox.collector.journal.writer import JournalWriter
from signalbox.collector.names import Names, close
from signalbox.collector.records import RequestRecord
from signalbox.label import Label
from signalbox.policy.schema import Policy
from signalbox.record import Record
from signalbox.types import Price


class Journal:
    """What the collector tells of each request, whether or not a policy wants it in files.

    count: counts a mark. clock: seconds that never go back. wall: seconds since the epoch.
    """

    def __init__(self, count: Counted, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self.writer = JournalWriter(wall)
        self.feedback = Feedback(count, clock)
        self._wall = wall

    def use(self, policy: Policy, names: Names) -> None:
        """Take a new policy. names: those of it and the one before."""
        self.feedback.keep(names.models | names.engines)
        self.writer.use(policy.journal)

    def ended(
        self,
        record: Record,
        exchange: Exchange,
        request: RequestRecord,
        names: Names,
        prices: Mapping[str, Price | None],
        terms: Terms,
    ) -> None:
        """Take a request that ended. request: of `exchange`, which has one. prices: by model."""
        _, model = names.target(request.served)
        if record.spent_on_answer:
            model, _ = names.engine(record.engine, "")  # marks are for who answered
        if model and not self.feedback.decided(record.id, close(record.router, names.routers), model):
            return  # the access log told it twice
        if self.writer.is_on:
            entry = request_entry(record, exchange, request, names, prices, terms, self._wall())
            self.writer.write(encode(entry))

    def label(self, label: Label) -> None:
        """Take what a shadow engine said."""
        if self.writer.is_on:
            self.writer.write(encode(label))

    def mark(self, decision_id: str, score: float | None, label: str) -> bool:
        """Take a mark. Returns whether its decision is known."""
        known = self.feedback.mark(decision_id, score)
        if self.writer.is_on:
            self.writer.write(encode(FeedbackEntry(VERSION, round(self._wall(), 3), decision_id, score, label)))
        return known
