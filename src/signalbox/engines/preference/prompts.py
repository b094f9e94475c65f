"""The prompts of published preference models, byte for byte as each was trained with, and the answers they call for.

A prompt's wording is the model's interface: another model's, or a better-sounding one, costs accuracy silently. So
each has a name with a version, which a bundle's manifest carries, and a golden test.

    arch-router/card    what Arch-Router's model card asks for: Python's JSON, non-ASCII text as escapes
    arch-router/plano   what Plano's gateway sent to it: compact JSON, text as it is
    plano-orchestrator  what Plano's gateway sends to Plano-Orchestrator

Sources: the model card of katanemo/Arch-Router-1.5B; katanemo/plano (Apache-2.0), crates/brightstaff/src/router/
router_model_v1.rs and orchestrator_model_v1.rs. docs/preference.md says what differs and what the licences are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from signalbox.core import Role
from signalbox.engines.base import Route

Said = Sequence[tuple[Role, bytes]]

OTHER = "other"
"""What Arch-Router answers when no route fits. Its prompt names it, so it need not be among the routes."""

_SPEAKERS = {Role.USER: "user", Role.ASSISTANT: "assistant"}

_ARCH_TASK = """
You are a helpful assistant designed to find the best suited route.
You are provided with route description within <routes></routes> XML tags:
<routes>
"""
_ARCH_CONVERSATION = """
</routes>

<conversation>
"""
_ARCH_FORMAT = """
</conversation>

Your task is to decide which route is best suit with user intent on the conversation in <conversation></conversation> \
XML tags.  Follow the instruction:
1. If the latest intent from user is irrelevant or user intent is full filled, response with other route \
{"route": "other"}.
2. You must analyze the route descriptions and find the best match route for user latest intent.
3. You only response the name of the route that best matches the user's request, use the exact name in the \
<routes></routes>.

Based on your analysis, provide your response in the following JSON formats if you decide to match any route:
{"route": "route_name"}
"""
# The card has a blank at the end of two lines, which trained tokens do not forgive.
_ARCH_CARD_FORMAT = "\n" + _ARCH_FORMAT.replace("user latest intent.\n", "user latest intent. \n").replace(
    '{"route": "route_name"}\n', '{"route": "route_name"} \n'
)

_ORCHESTRATOR_TASK = """
You are a helpful assistant that selects the most suitable routes based on user intent.
You are provided with a list of available routes enclosed within <routes></routes> XML tags:
<routes>
"""
_ORCHESTRATOR_CONVERSATION = """
</routes>

You are also given the conversation context enclosed within <conversation></conversation> XML tags:
<conversation>
"""
# Doubled braces: Plano fills its template in without unescaping them, so they are what the model reads.
_ORCHESTRATOR_FORMAT = """
</conversation>

## Instructions
1. Analyze the latest user intent from the conversation.
2. Compare it against the available routes to find which routes can help fulfill the request.
3. Respond only with the exact route names from <routes>.
4. If no routes can help or the intent is already fulfilled, return an empty list.

## Response Format
Return your answer strictly in JSON as follows:
{{"route": ["route_name_1", "route_name_2", "..."]}}
If no routes are needed, return an empty list for `route`.
"""


@dataclass(frozen=True, slots=True)
class Chat:
    """What the base model's chat template makes of one user message, when asked for an answer.

    system: the message it puts in front by itself; none if empty. In special tokens this is ChatML.
    """

    system: str = ""
    start: str = "<|im_start|>"
    end: str = "<|im_end|>"

    def turns(self, content: str) -> tuple[tuple[str, str | None], ...]:
        """(text behind `start`, text behind `end`; None for the turn that the model is to write) of each turn."""
        system = ((f"system\n{self.system}", "\n"),) if self.system else ()
        return (*system, (f"user\n{content}", "\n"), ("assistant\n", None))

    def render(self, content: str) -> str:
        """Return the whole prompt as text, as the template of the tokenizer_config.json renders it."""
        return "".join(
            f"{self.start}{text}" + ("" if after is None else f"{self.end}{after}")
            for text, after in self.turns(content)
        )


QWEN25_CHAT = Chat("You are Qwen, created by Alibaba Cloud. You are a helpful assistant.")
QWEN3_CHAT = Chat()


@dataclass(frozen=True, slots=True)
class PromptFormat:
    """How one model wants to be asked, and how it answers.

    budget: tokens of the prompt it was published with. list_answer: it answers a list of names, best first, and an
    empty one for none; otherwise one name, or `other`. chat: of the model it was made from.
    """

    name: str
    task: str
    between: str
    closing: str
    routes: Callable[[Sequence[Route]], str]
    conversation: Callable[[Said], str]
    budget: int
    list_answer: bool
    ascii_only: bool
    chat: Chat

    def render(self, routes: Sequence[Route], said: Said) -> str:
        """Return the content of the one user message that the model is sent."""
        return self.before(routes) + self.conversation(said) + self.closing

    def before(self, routes: Sequence[Route]) -> str:
        """Return what stands before the conversation: the same for every request of a policy."""
        return self.task + self.routes(routes) + self.between

    def answer(self, name: str) -> str:
        """Return the model's answer that chooses a route."""
        name = json.dumps(name, ensure_ascii=self.ascii_only)
        return f'{{"route": [{name}]}}' if self.list_answer else f'{{"route": {name}}}'

    @property
    def no_route(self) -> str:
        """The model's answer that no route fits."""
        return '{"route": []}' if self.list_answer else self.answer(OTHER)


def _messages(said: Said) -> list[dict[str, str]]:
    return [{"role": _SPEAKERS[role], "content": text.decode()} for role, text in said]


def _entries(routes: Sequence[Route]) -> list[dict[str, str]]:
    return [{"name": route.name, "description": route.description} for route in routes]


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _with_parameters(routes: Sequence[Route]) -> str:
    """Plano hands every route over as a tool without parameters, a line each."""
    nothing = {"type": "object", "properties": {}, "required": []}
    return "\n".join(json.dumps({**entry, "parameters": nothing}, ensure_ascii=False) for entry in _entries(routes))


ARCH_ROUTER_CARD = PromptFormat(
    name="arch-router/card",
    task=_ARCH_TASK + "\n",
    between="\n" + _ARCH_CONVERSATION + "\n",
    closing=_ARCH_CARD_FORMAT,
    routes=lambda routes: json.dumps(_entries(routes)),
    conversation=lambda said: json.dumps(_messages(said)),
    budget=2048,
    list_answer=False,
    ascii_only=True,
    chat=QWEN25_CHAT,
)
ARCH_ROUTER_PLANO = PromptFormat(
    name="arch-router/plano",
    task=_ARCH_TASK,
    between=_ARCH_CONVERSATION,
    closing=_ARCH_FORMAT,
    routes=lambda routes: _compact(_entries(routes)),
    conversation=lambda said: _compact(_messages(said)),
    budget=2048,
    list_answer=False,
    ascii_only=False,
    chat=QWEN25_CHAT,
)
PLANO_ORCHESTRATOR = PromptFormat(
    name="plano-orchestrator",
    task=_ORCHESTRATOR_TASK,
    between=_ORCHESTRATOR_CONVERSATION,
    closing=_ORCHESTRATOR_FORMAT,
    routes=_with_parameters,
    conversation=lambda said: json.dumps(_messages(said), ensure_ascii=False, indent=4),
    budget=8192,
    list_answer=True,
    ascii_only=False,
    chat=QWEN3_CHAT,
)

FORMATS = {each.name: each for each in (ARCH_ROUTER_CARD, ARCH_ROUTER_PLANO, PLANO_ORCHESTRATOR)}
_FAMILIES = {"arch-router": ARCH_ROUTER_CARD, "plano-orchestrator": PLANO_ORCHESTRATOR}


def format_for(model: str) -> PromptFormat | None:
    """Return the prompt of a model by a name that a server or a bundle has for it; None if the name says nothing.

    `Arch-Router-1.5B.gguf` and `katanemo/Arch-Router-1.5B` are both Arch-Router.
    """
    name = model.lower().replace("_", "-")
    if name in FORMATS:
        return FORMATS[name]
    return next((found for family, found in _FAMILIES.items() if family in name), None)
