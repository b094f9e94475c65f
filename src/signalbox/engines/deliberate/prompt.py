"""Router-R1's prompt, byte for byte as it was trained with it, around models of one's own.

The names and descriptions of its pool are the only parts that change; the question stands last, so that everything
before it is the same for every request. Source: ulab-uiuc/Router-R1 (Apache-2.0), data_process/prompt_pool.py, the
template for Qwen; the checkpoint is made from Qwen2.5-3B-Instruct and has its chat template.
"""

from __future__ import annotations

from collections.abc import Sequence

from signalbox.engines.base import Route
from signalbox.engines.preference.prompts import QWEN25_CHAT

THINK, THINK_END = "<think>", "</think>"
SEARCH, SEARCH_END = "<search>", "</search>"
ANSWER, ANSWER_END = "<answer>", "</answer>"
PLACEHOLDER = "LLM-Name"
ANSWER_PLACEHOLDER = "and"  # what stands between the tags where the prompt forbids to repeat them

# Lines are long where the original's are, and end in blanks where the original's do.
_BEFORE_NAMES = (
    "\nAnswer the given question. "
    "Every time you receive new information, you must first conduct reasoning inside <think> ... </think>. "
    "After reasoning, if you find you lack some knowledge, you can call a specialized LLM by writing a query inside "
    "<search> LLM-Name:Your-Query </search>. \n"
    "!!! STRICT FORMAT RULES for <search>: !!!\n"
    "    + You MUST replace LLM-Name with the EXACT name of a model selected from ["
)
_BEFORE_DESCRIPTIONS = (
    "].     + You MUST replace Your-Query with a CONCRETE QUESTION that helps answer the original question below. "
    "    + NEVER copy or paste model descriptions into <search>.\n"
    "    + NEVER output the placeholder format <search> LLM-Name:Your-Query </search>. "
    "Always replace both parts correctly. \n"
    "Before each LLM call, you MUST explicitly reason inside <think> ... </think> about: "
    "    + Why external information is needed. "
    "    + Which model is best suited for answering it, based on the LLMs' abilities (described below). \n"
    "When you call an LLM, the response will be returned between <information> and </information>. "
    "You must not limit yourself to repeatedly calling a single LLM (unless its provided information is consistently "
    "the most effective and informative). "
    "You are encouraged to explore and utilize different LLMs to better understand their respective strengths and "
    "weaknesses. "
    "It is also acceptable—and recommended—to call different LLMs multiple times for the same input question to gather "
    "more comprehensive information. \n"
    "\n#### The Descriptions of Each LLM \n"
)
_BEFORE_QUESTION = (
    "\nIf you find that no further external knowledge is needed, you can directly provide your final answer inside "
    "<answer> ... </answer>, without additional explanation or illustration. "
    "For example: <answer> Beijing </answer>. "
    '    + Important: You must not output the placeholder text "<answer> and </answer>" alone. '
    "    + You must insert your actual answer between <answer> and </answer>, following the correct format. Question: "
)

_QUERY = """
You are a helpful assistant. You are participating in a multi-agent reasoning process, where a base model delegates \
sub-questions to specialized models like you. Your task is to do your **absolute best** to either: \n
    + Answer the question directly, if possible, and provide a brief explanation; or \n
    + Offer helpful and relevant context, background knowledge, or insights related to the question, even if you \
cannot fully answer it. \n\
If you are completely unable to answer the question or provide any relevant or helpful information, you must: \n
    + Clearly state that you are unable to assist with this question, and \n
    + Explicitly instruct the base model to consult other LLMs for further assistance. \n\
**Important Constraints**: \n
    + Keep your response clear, concise, and informative (preferably under 512 tokens). Your response will help guide \
the base model’s reasoning and next steps. \n
    + Stay strictly on-topic. Do not include irrelevant or generic content. \n\n\n\
Here is the sub-question for you to assist with: """


def render_query(query: str) -> str:
    """Return what a model is sent when it is called with a query."""
    return _QUERY + query + "\n\n"


def render(routes: Sequence[Route], question: str) -> str:
    """Return the content of the one user message. A question that does not end in one gets its question mark."""
    question = question.strip()
    if not question.endswith("?"):
        question += "?"
    names = ", ".join(route.name for route in routes)
    descriptions = "\n".join(f"{route.name}:{route.description}\n" for route in routes)
    return _BEFORE_NAMES + names + _BEFORE_DESCRIPTIONS + descriptions + _BEFORE_QUESTION + question + "\n\n"


def content(routes: Sequence[Route], question: str) -> str:
    """Return `render` of a question that a user wrote.

    Special tokens spelled out in it are taken apart: they would end the user's turn.
    """
    return render(routes, question.replace("<|", "< |"))


def opening(routes: Sequence[Route], question: str) -> str:
    """Return the prompt up to where the model's first thought begins, chat template included."""
    return QWEN25_CHAT.render(content(routes, question))


def continued(prompt: str, said: str, information: str) -> str:
    """Return the prompt of the next round: what the model said, and what came of it."""
    return f"{prompt}\n{said}\n<information>{information}</information>\n"
