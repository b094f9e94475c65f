"""A provider to route to when no real one should be called: for `signalbox up`, demos, tests and benchmarks.

It answers OpenAI's and Anthropic's APIs well enough for their SDKs, misbehaves when told to, and keeps a
record of what reached it. Owns everything about pretending to be a provider; knows nothing of Envoy,
policies or decisions.

    errors, fields <- answer <- chat, completions, embeddings, responses, messages
                      faults, pace, record, sse <- control, app <- provider <- running, cli
"""

from signalbox.mock.faults import Fault, FaultKind
from signalbox.mock.provider import MockProvider
from signalbox.mock.record import ReceivedRequest
from signalbox.mock.running import running_mock

__all__ = ["Fault", "FaultKind", "MockProvider", "ReceivedRequest", "running_mock"]
