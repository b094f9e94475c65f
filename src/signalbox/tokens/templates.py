"""Chat templates: the texts between a family's special tokens, and how many special tokens there are.

A template is cut where special tokens stand, because no token reaches across one. What stands between two of them is
one text, separators included: a line break merges with those that follow it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from signalbox.tokens.conversation import Conversation, Message
from signalbox.tokens.functions import namespace

TemplateName = Literal[
    "openai", "chatml", "qwen2", "qwen2.5", "llama3", "llama3.1", "mistral-v3", "mistral-v7", "gemma", "deepseek"
]


@dataclass(slots=True)
class Rendered:
    """A prompt cut into texts. Its tokens: those of each text, and `specials`. `doubts`: why that may not be exact."""

    texts: list[str] = field(default_factory=list)
    specials: int = 0
    doubts: set[str] = field(default_factory=set)

    def add(self, *texts: str, specials: int = 0) -> None:
        self.texts.extend(text for text in texts if text)
        self.specials += specials


Template = Callable[[Conversation, Rendered], None]


def render(conversation: Conversation, name: TemplateName | None) -> Rendered:
    """Return the prompt under a template; under None the texts alone, in doubt whenever a template was needed."""
    out = Rendered(doubts=set(conversation.doubts))
    if conversation.prompts:
        out.add(*conversation.prompts, specials=len(conversation.prompts) if name in _STARTS_WITH_BOS else 0)
    if conversation.messages or conversation.tools:
        if name is None:
            out.doubts.add("no template")
        _TEMPLATES["openai" if name is None else name](conversation, out)
    return out


def _openai(conversation: Conversation, out: Rendered) -> None:
    """3 tokens a message, 1 a name, 3 for the answer (OpenAI Cookbook, How to count tokens with tiktoken)."""
    for message in conversation.messages:
        out.add(message.role, message.text, message.name, specials=3 + bool(message.name))
        for call in message.calls:
            out.add(call.name, call.arguments, specials=3)
    if conversation.tools:
        # The namespace costs 9 around it, and 4 less where a system message takes it in.
        has_system = any(message.role in ("system", "developer") for message in conversation.messages)
        out.add(namespace(conversation.tools), specials=5 if has_system else 9)
        out.doubts.add("tools")
    out.specials += 3


_QWEN_TOOLS = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function"
    " signatures within <tools></tools> XML tags:\n<tools>{tools}\n</tools>\n\nFor each function call, return a json"
    ' object with function name and arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n{{"name":'
    ' <function-name>, "arguments": <args-json-object>}}\n</tool_call>'
)


def _chatml(default_system: str) -> Template:
    """`<|im_start|>ROLE\\nTEXT<|im_end|>\\n` (Qwen's tokenizer_config.json). default_system: said when nobody does."""

    def template(conversation: Conversation, out: Rendered) -> None:
        messages = conversation.messages
        system = messages[0].text if messages and messages[0].role == "system" else default_system
        rest = messages[1:] if messages and messages[0].role == "system" else messages
        if conversation.tools:
            tools = "".join("\n" + json.dumps(tool, ensure_ascii=False) for tool in conversation.tools)
            system = "\n\n".join(filter(None, [system, _QWEN_TOOLS.format(tools=tools)]))
            out.doubts.add("tools")
        if system:
            rest = [Message("system", system), *rest]
        for message in rest:
            text = message.text
            if message.role == "tool":
                text = f"<tool_response>\n{text}\n</tool_response>"
            for call in message.calls:
                text += f'\n<tool_call>\n{{"name": "{call.name}", "arguments": {call.arguments}}}\n</tool_call>'
            role = "user" if message.role == "tool" else message.role
            out.add(f"{role}\n{text}", "\n", specials=2)
            if role not in ("system", "user", "assistant"):
                out.doubts.add("roles")
            if role == "assistant" and "</think>" in text:
                out.doubts.add("reasoning")  # Qwen 3 drops it from past turns
        out.add("assistant\n", specials=1)

    return template


def _llama(preamble: str) -> Template:
    """`<|start_header_id|>ROLE<|end_header_id|>\\n\\nTEXT<|eot_id|>` (Meta, Llama 3 model card and prompt formats)."""

    def template(conversation: Conversation, out: Rendered) -> None:
        messages = conversation.messages
        if preamble:
            system = messages[0].text.strip() if messages and messages[0].role == "system" else ""
            rest = messages[1:] if messages and messages[0].role == "system" else messages
            messages = [Message("system", preamble + system), *rest]
        out.specials += 1
        for message in messages:
            text = message.text if preamble and message is messages[0] else message.text.strip()
            for call in message.calls:
                text += f'{{"name": "{call.name}", "parameters": {call.arguments}}}'
            out.add("ipython" if message.role == "tool" else message.role, f"\n\n{text}", specials=3)
            if message.role not in ("system", "user", "assistant"):
                out.doubts.add("roles")
        out.add("assistant", "\n\n", specials=2)
        if conversation.tools:
            out.add(_LLAMA_TOOLS, *(json.dumps(tool, indent=4, ensure_ascii=False) for tool in conversation.tools))
            out.doubts.add("tools")

    return template


_LLAMA_TOOLS = (
    "Given the following functions, please respond with a JSON for a function call with its proper arguments that best"
    ' answers the given prompt.\n\nRespond in the format {"name": function name, "parameters": dictionary of argument'
    " name and its value}.Do not use variables.\n\n"
)


def _mistral(*, system_apart: bool) -> Template:
    """`[INST]TEXT[/INST]TEXT</s>` (mistral-common). system_apart: v7 gives it tokens of its own."""

    def template(conversation: Conversation, out: Rendered) -> None:
        messages = list(_merged(conversation.messages))
        is_joined = len(messages) < len(conversation.messages)
        if not system_apart:
            is_joined |= any(message.role == "system" for message in messages)
            system = "\n\n".join(message.text for message in messages if message.role == "system")
            messages = list(_merged([message for message in messages if message.role != "system"]))
            last = max((at for at, message in enumerate(messages) if message.role == "user"), default=-1)
            if system and last >= 0:
                messages[last] = replace(messages[last], text=f"{system}\n\n{messages[last].text}")
        if conversation.images and is_joined:
            out.doubts.add("images")  # one between two joined texts parts their tokens
        out.specials += 1
        for message in messages:
            if message.role == "assistant":
                out.add(message.text.rstrip(" "), *(call.name + call.arguments for call in message.calls), specials=1)
            else:
                out.add(message.text, specials=2)
            if message.role not in ("system", "user", "assistant") or message.calls:
                out.doubts.add("roles")
        if conversation.tools:
            out.add(json.dumps([_mistral_tool(tool) for tool in conversation.tools], ensure_ascii=False), specials=2)
            out.doubts.update({"tools"} if any(map(_is_unusual, conversation.tools)) else ())

    return template


def _merged(messages: list[Message]) -> Iterator[Message]:
    """Neighbours of one role joined, as mistral-common does before it encodes."""
    pending: Message | None = None
    for message in messages:
        if pending and pending.role == message.role and not (pending.calls or message.calls):
            pending = replace(pending, text="\n\n".join(filter(None, [pending.text, message.text])))
        else:
            if pending:
                yield pending
            pending = message
    if pending:
        yield pending


def _mistral_tool(tool: dict[str, Any]) -> dict[str, Any]:
    """A tool with the members mistral-common writes, in its order; absent descriptions are empty."""
    function = tool.get("function")
    if not isinstance(function, dict):
        return tool
    return {
        "type": "function",
        "function": {
            "name": function.get("name"),
            "description": function.get("description") or "",
            "parameters": function.get("parameters"),
        },
    }


def _is_unusual(tool: dict[str, Any]) -> bool:
    function = tool.get("function")
    return not isinstance(function, dict) or not {"name", "parameters"} <= set(function)


def _gemma(conversation: Conversation, out: Rendered) -> None:
    """`<start_of_turn>ROLE\\nTEXT<end_of_turn>\\n`; system text opens the first turn (Google, Gemma formatting)."""
    messages = conversation.messages
    system = ""
    if messages and messages[0].role in ("system", "developer"):
        system, messages = messages[0].text.strip() + "\n\n", messages[1:]
    out.specials += 1
    for message in messages:
        role = "model" if message.role == "assistant" else message.role
        out.add(f"{role}\n{system}{message.text.strip()}", "\n", specials=2)
        system = ""
        if message.role not in ("user", "assistant"):
            out.doubts.add("roles")
    out.add("model\n", specials=1)
    _tools_as_json(conversation, out)


def _deepseek(conversation: Conversation, out: Rendered) -> None:
    """`<｜User｜>TEXT<｜Assistant｜>TEXT<｜end▁of▁sentence｜>`, system text first (DeepSeek-V3)."""
    out.add("\n\n".join(message.text for message in conversation.messages if message.role == "system"), specials=1)
    for message in conversation.messages:
        if message.role == "user":
            out.add(message.text, specials=1)
        elif message.role != "system":
            out.add(message.text, *(call.name + call.arguments for call in message.calls), specials=2)
            if message.role != "assistant" or message.calls:
                out.doubts.add("roles")
            if "</think>" in message.text:
                out.doubts.add("reasoning")
    if not conversation.messages or conversation.messages[-1].role != "assistant":
        out.specials += 1
    _tools_as_json(conversation, out)


def _tools_as_json(conversation: Conversation, out: Rendered) -> None:
    if conversation.tools:
        out.add(json.dumps(conversation.tools, ensure_ascii=False))
        out.doubts.add("tools")


_STARTS_WITH_BOS = frozenset({"llama3", "llama3.1", "mistral-v3", "mistral-v7", "gemma", "deepseek"})

_TEMPLATES: dict[TemplateName, Template] = {
    "openai": _openai,
    "chatml": _chatml(""),
    "qwen2": _chatml("You are a helpful assistant."),
    "qwen2.5": _chatml("You are Qwen, created by Alibaba Cloud. You are a helpful assistant."),
    "llama3": _llama(""),
    # The date varies, its number of tokens does not: two digits, a month, four digits.
    "llama3.1": _llama("Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"),
    "mistral-v3": _mistral(system_apart=False),
    "mistral-v7": _mistral(system_apart=True),
    "gemma": _gemma,
    "deepseek": _deepseek,
}
