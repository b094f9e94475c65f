"""Where an engine is asked: a few threads, a short queue, and a ticket that has its answer by the deadline.

Whoever asks never waits: a ticket is looked at when it says that it is done, or when its time is over. An engine that
hangs costs its own threads and nothing else: its queue fills, and from then on it is not asked at all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

from signalbox.engines.base import Answer, Engine, Outcome, Question

Done = Callable[[], None]

LATE = Answer(Outcome.LATE, detail="deadline")
QUEUE_FULL = Answer(Outcome.LATE, detail="queue_full")
DEFECT = Answer(Outcome.FAILED, detail="defect")


class Ticket:
    """One question under way."""

    __slots__ = ("_answer", "_lock", "_when_done", "asked", "deadline")

    def __init__(self, asked: float, deadline: float) -> None:
        """asked, deadline: `time.monotonic()` seconds."""
        self.asked = asked
        self.deadline = deadline
        self._answer: Answer | None = None
        self._when_done: Done | None = None
        self._lock = threading.Lock()

    @property
    def done(self) -> bool:
        return self._answer is not None

    def when_done(self, call: Done) -> None:
        """Have `call` made once, on the engine's thread, or now if there is an answer already."""
        with self._lock:
            if self._answer is None:
                self._when_done = call
                return
        call()

    def take(self) -> Answer:
        """Return the answer; if there is none yet, it is late, and stays so."""
        self._settle(LATE)
        assert self._answer is not None
        return self._answer

    def give(self, answer: Answer) -> None:
        """Settle the ticket, unless somebody has taken it as late."""
        when_done = self._settle(answer)
        if when_done is not None:
            when_done()

    def _settle(self, answer: Answer) -> Done | None:
        with self._lock:
            if self._answer is not None:
                return None
            self._answer = answer._replace(microseconds=round((time.monotonic() - self.asked) * 1e6))
            when_done, self._when_done = self._when_done, None
            return when_done


class Desk:
    """An engine's threads and queue. `ask` may be called from any thread and returns at once.

    failed: told of an exception an engine let through, which is a defect of it; called on the engine's thread.
    """

    def __init__(
        self,
        name: str,
        engine: Engine,
        *,
        deadline_seconds: float,
        max_concurrent: int,
        max_queued: int,
        failed: Callable[[str, BaseException], None] | None = None,
    ) -> None:
        self.name = name
        self.deadline_seconds = deadline_seconds
        self._engine = engine
        self._max_open = max_concurrent + max_queued
        self._failed = failed
        self._open = 0
        self._lock = threading.Lock()
        self._queue: SimpleQueue[tuple[Ticket, Question] | None] = SimpleQueue()
        self._threads = [
            # Daemons: a run that hangs must not keep the process from ending.
            threading.Thread(target=self._work, name=f"engine-{name}-{number}", daemon=True)
            for number in range(max_concurrent)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def is_free(self) -> bool:
        """Whether a question would be taken up at once."""
        return self._open < len(self._threads)

    def ask(self, question: Question) -> Ticket:
        """Return a ticket for the question; its deadline is the question's."""
        ticket = Ticket(time.monotonic(), question.deadline)
        with self._lock:
            is_full = self._open >= self._max_open
            if not is_full:
                self._open += 1
        if is_full:
            ticket.give(QUEUE_FULL)
        else:
            self._queue.put((ticket, question))
        return ticket

    def close(self) -> None:
        """Answer what was asked, then let the threads and the engine go. Returns at once."""
        for _ in self._threads:
            self._queue.put(None)
        threading.Thread(target=self._end, name=f"engine-{self.name}-end", daemon=True).start()

    def _end(self) -> None:
        for thread in self._threads:
            thread.join()
        self._engine.close()

    def _work(self) -> None:
        while (asked := self._queue.get()) is not None:
            ticket, question = asked
            try:
                # One nobody waits for any more is not worth a run that others wait behind.
                if not ticket.done and time.monotonic() < ticket.deadline:
                    ticket.give(self._ask(question))
                else:
                    ticket.give(LATE)
            finally:
                with self._lock:
                    self._open -= 1
                del asked, ticket, question  # a request's body must not live until the next one comes

    def _ask(self, question: Question) -> Answer:
        try:
            return self._engine.ask(question)
        except Exception as problem:  # noqa: BLE001  an engine never raises; one that does has failed
            if self._failed is not None:
                self._failed(self.name, problem)
            return DEFECT
