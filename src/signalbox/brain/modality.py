"""Whether a turn asks for an image to be made: a linear model on the text's vector and on what its words look like.

Alone, a vector tells "draw a fox" from a question about taxes, and not from "describe a drawing of a fox"; alone,
words tell commands from questions, and not "draw a fox" from "draw a conclusion". Weighed together they tell both.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import re2
from numpy.typing import NDArray

from signalbox.brain.artifact import open_artifact, refuse

Floats = NDArray[np.float32]

HEAD_BYTES, TAIL_BYTES = 1024, 512
"""What is read of a turn: whoever wants an image says so at one of its ends."""

_POLITE = (
    r"(?:(?:please|pls|hi|hey|hello|ok|okay|now|then|also|and|so|just|kindly|next|great|thanks)[,.! ]+)*"
    r"(?:(?:do you think |i was wondering if |maybe )?(?:can|could|would|will|are|might) (?:you|u|somebody|someone) "
    r"(?:please |kindly |maybe |just |try to |be able to |able to |mind |be so kind (?:as )?to |possibly )?"
    r"|is it possible (?:for you )?to |(?:may|can|could) i (?:ask you to |please )?|you (?:can |could |should )?"
    r"|i(?: would|'d|’d)? (?:really )?(?:like|want|need|love) (?:you |u )?to |(?:i|we) (?:want|need) |help me (?:to )?"
    r"|let's |let us |try to |go ahead and |use (?:dall[- ]?e|midjourney|stable diffusion|your image tool) to )?"
)
_START = r"(?:^|[\n.!?:;,])[ \t\"'*#>(-]*" + _POLITE
_DRAW = (
    r"(?:draw(?:ing)?|render(?:ing)?|paint(?:ing)?|sketch(?:ing)?|illustrat(?:e|ing)|doodle|photograph|re-?draw|depict"
    r"|visuali[sz]e|picture|imagine)"
)
_MAKE = (
    r"(?:render|generat(?:e|ing)|creat(?:e|ing)|mak(?:e|ing)|produc(?:e|ing)|design|craft|give|show|send|come up with"
    r"|whip up|do|get|have|see|provide|need|want|build|imagine|(?:i|we)(?: would|'d|’d)? (?:really )?(?:want|need"
    r"|like|love))"
    r"(?: me| us| him| her| them)?"
)
_OF = r"(?: [a-z0-9-]+){0,5}?"
_PICTURE = (
    r" (?:image|picture|pic|photo|photograph|illustration|drawing|painting|sketch|doodle|logo|icon|wallpaper|poster"
    r"|portrait|art|artwork|cartoon|comic (?:strip|panel|book)|caricature|avatar|sticker|infographic|render|rendering"
    r"|watercolou?r|banner"
    r"|flyer|mural|meme|thumbnail|visual|graphic|clip ?art|pixel art|concept art|book cover|album cover|selfie"
    r"|collage|emoji|mascot|tattoo|landscape|scene|postcard|(?:birthday|greeting|christmas) card|t-?shirt|invitation"
    r"|colou?ring page|cover art)s?"
)
_ARTICLE = r"(?: me| us)?(?::|(?: (?:a|an|the|two|three|four|five|some|my|our|one|several|this|that|[0-9]+)))"
_TALK = (
    r"(?:what|who|whom|whose|which|when|where|why|how|is|are|was|were|do|does|did|should|has|have|if|explain|describe"
    r"|summari[sz]e|write|translate|compare|list|tell|solve|find|calculate|compute|prove|give me (?:an? )?(?:example"
    r"|list|recipe|summary|explanation)|rewrite|edit|improve|fix|classify|identify|analy[sz]e|suggest|recommend"
    r"|caption|compose|name|count|discuss|define|implement|convert|extract|review|debug|act as|play|complete|answer"
    r"|book|add|set|remind|order|call|read|check|search|look|buy|remove|turn (?:on|off|up|down)|train|plot)"
)
_HOW = (
    r"(?:how (?:to|do|does|did|can|could|would|should|is|are)|tips|advice|teach me|tutorial|guide|in words|text only"
    r"|only the text|explain|describe|describing|step[- ]by[- ]step|what (?:is|are|does|do|did|would|conclusions?)|why"
    r"|difference between|tell me|instructions|who (?:painted|drew|made)|recipe)"
)
_TEXT = (
    r"(?:stor(?:y|ies)|poems?|captions?|alt text|titles?|descriptions?|quiz|lists?|sentences?|paragraphs?|essays?"
    r"|prompts?|tables?|plans?|reports?|schemas?|forms?|classifiers?|(?:web ?)?pages?|questions?|outlines?|emails?"
    r"|letters?"
    r"|songs?|jokes?|summary|summaries|scripts?|code|functions?|programs?|experiments?|recipes?|docker|containers?"
    r"|contracts?|texts?|articles?|posts?|slides|presentations?|lessons?|playlists?|budgets?|schedules?|databases?"
    r"|accounts?|string|words)"
)
_CODE = (
    r"(?:python|javascript|typescript|java|html|css|svg|latex|tikz|mermaid|matplotlib|plotly|ggplot2?|seaborn|opencv"
    r"|pygame|turtle graphics|python turtle|three\.?js|d3\.js|html5? canvas|canvas api|c\+\+|c#|golang|ascii|graphviz"
    r"|plantuml|webgl|opengl|sql|regex|excel|pandas|numpy|swiftui|dockerfile)"
)
_CODE_THING = (
    r"(?:code|script|function|program|class|algorithm|app|website|webpage|web page|chart|graph|plot|diagram|flowchart"
    r"|histogram|table|classifier|dataset|model|docker|container|vm|disk|iso|api|component|button|prompts?|parser)s?"
)
_FIGURE = (
    r"(?:render(?:ing)? (?:the |this |a )?(?:following|component|react|template|page|list|table|markdown)|(?:draw|paint"
    r"|picture|illustrate|create|make|imagine|sketch)(?:ing|n|s)?(?: up| out)? (?:a |an |some |any |the "
    r"|your |my )?(?:conclusions?|inferences?|parallels?|comparisons?|distinctions?|lessons?|line between|attention"
    r"|blood|money|cash|inspiration|breath|blank|contract|plan|will|agreement|bath|curtains?|card|cards|lots|straws"
    r"|bigger picture|point|difference|outline|budget|schedule|list|email|letter|sense|decision|reservation|payment"
    r"|appointment|alarm|playlist|account|story|poem|song|speech|essay|joke|recipe|password|username|summary|report"
    r"|picture of (?:the |our |your )?(?:situation|economy|market|state|health|future"
    r"|company|life)|drawing of lots))\b"
)
_STYLE = (
    r"(?:oil on canvas|oil painting|watercolou?r|photo-?realistic|hyper-?realistic|4k|8k|hdr|unreal engine"
    r"|octane render"
    r"|cinematic|digital art|pixel art|concept art|anime style|in the style of|highly detailed|ultra detailed|bokeh"
    r"|trending on artstation|studio ghibli|low poly|isometric|line art|vector art|studio lighting|golden hour"
    r"|wide angle|close-?up|--ar|--v|steampunk|cyberpunk|vaporwave|minimalist|impressionis[tm]|art deco|pencil sketch"
    r"|charcoal|aspect ratio|transparent background|3d render|depth of field|stained glass)"
)
_TOOL = r"(?:dall[- ]?e|midjourney|stable diffusion|text[- ]to[- ]image|image generation|flux|imagen|image generator)"
_FOREIGN = (
    r"(?:dibuja(?:me)?|dibújame|pinta|zeichne|male|dessinez?(?:-moi)?|disegna(?:mi)?|desenh[ae]|genera una imagen"
    r"|genera un'immagine|gere uma imagem|génère une image|generiere ein bild|erstelle ein bild|crea una imagen"
    r"|crée une image|нарисуй(?:те)?|изобрази|сгенерируй изображение|narysuj|çiz|teken|rita|tegn)"
)
_CJK = (
    r"(?:画一|画个|画幅|画张|绘制一|生成一张|生成图片|描いて|の絵を|画像を生成"
    r"|그려|이미지를 생성|ارسم|चित्र बना|תצייר|ציור של)"
)

_BEGIN = r"^[ \t\"'*#>(-]*"

PATTERNS: dict[str, str] = {
    "make": _START + _MAKE + _OF + _PICTURE + r"\b",
    "draw": _START + _DRAW + r"\b",
    "draw it": _START + _DRAW + _ARTICLE + r" [^ ]",
    "turn into": r"\b(?:turn|make|transform|convert)(?:ing)? [^\n.?!]{1,200} into (?:an?|one|the)"
    + _OF
    + _PICTURE
    + r"\b",
    "generate it": _PICTURE + r"\b[^\n?]{0,200}[,.;:] ?(?:please |can you |could you |and |then |now )*"
    r"(?:draw|paint|make|create|generate|render|produce|design)(?: (?:it|one|that|this|them|the (?:image|picture)))?\b",
    "tool call": _BEGIN + r"(?:/imagine\b|txt2img\b|text[- ]to[- ]image\b|(?:run |call )?(?:the )?image "
    r"(?:prompt|generation|generator)\b|prompt for the (?:image|picture)|(?:image|picture) ?:|(?:use|with|in|via"
    r"|using) " + _TOOL + r")",
    "output": r"\b(?:output|format|result|type)\W{1,3}(?:an? )?(?:image|picture|illustration|png|jpe?g)\b"
    r"|\bthe (?:image|picture) should (?:show|have|be|depict)\b|\band you (?:draw|paint|sketch|illustrate)\b|\b(?:and"
    r"|then) (?:draw|paint|sketch|illustrate) (?:it|this)\b",
    "picture of": r"\b(?:image|picture|photo|photograph|illustration|drawing|painting|portrait|sketch|render|logo"
    r"|poster)s? "
    r"(?:of|showing|depicting|with|for|featuring|where|that shows)\b",
    "picture": _PICTURE + r"\b",
    "talk": _BEGIN + _POLITE + _TALK + r"\b",
    "how": r"\b" + _HOW + r"\b",
    "text": _START + _POLITE + r"(?:write|generate|create|make|produce|design|craft|give|show|build|compose)"
    r"(?: me| us| up| out)?(?: (?:a|an|the|some|my|our|one|[a-z-]+|[0-9]+)){0,4}? "
    + _TEXT
    + r"(?:[:.!?\n]|$| (?:of|about|for|with|that|which|to|from|comparing|on|in|where)\b)",
    "code": r"\b" + _CODE + r"(?:[^a-z]|$)",
    "code thing": r"\b" + _CODE_THING + r"\b",
    "figure": r"\b" + _FIGURE,
    "style": r"\b" + _STYLE + r"(?:[^a-z]|$)",
    "tool": r"\b" + _TOOL + r"\b",
    "foreign": r"(?:^|[\n.!?:;,¡] ?)" + _FOREIGN + r"[ :]",
    "far": _CJK,
    "question": r"\?[ \t\n\"']*$",
    "caption": r"^[ \t\"'(]*(?:a|an|the|two|three|four|five|six|[0-9]+) [^\n?]+$",
    "photo of": r"^[ \t\"'(]*(?:an? |the )?(?:[a-z-]+ ){0,4}(?:photo|photograph|picture|painting|portrait|illustration"
    r"|drawing|sketch|render|shot|image|watercolou?r|panel|close-?up)\b *(?:of\b|:)[^\n?]*$",
    "signs": r"```|[{};=]|</|\bdef |\bimport ",
    "finite": r"\b(?:is|are|was|were|has|have|had|will|would|can|could|should|do|does|did|must|may|i|you|we|my|your"
    r"|me)\b",
    "this picture": r"\b(?:this|the|my|that|attached|uploaded|following) (?:image|picture|photo|drawing|painting"
    r"|screenshot)s?\b",
    "options": r"\n *[(]?[A-E1-5][.):] ",
    "lines": r"\n",
    "please": r"\b(?:please|thanks|thank you|yes|no|okay|sure)\b",
    "other image": r"\b(?:docker|container|disk|iso|boot|vm|mirror|brand|public|self|body) images?\b"
    r"|\bimages? (?:upload|"
    r"classif\w*|recognition|processing|file|tag|dataset|component|format|url)\b",
}
"""What is looked for in the words, by name."""

_PLACE = {name: place for place, name in enumerate(PATTERNS)}
_ASKS = [
    _PLACE[name]
    for name in ("make", "draw", "draw it", "turn into", "generate it", "tool call", "output", "foreign", "far")
]
_BLOCKS = [_PLACE[name] for name in ("code", "figure", "other image")]
_MAKE_PLACE, _TEXT_PLACE = _PLACE["make"], _PLACE["text"]
_CAPTIONS = [_PLACE[name] for name in ("caption", "photo of", "style")]
_PROSE = [_PLACE[name] for name in ("finite", "question", "talk", "options", "lines", "signs", "please")]
_ONLY_TOGETHER = [_PLACE[name] for name in ("make", "draw", "draw it", "caption", "photo of", "lines")]
_NOT_AGAINST = [_PLACE[name] for name in ("talk", "question", "finite", "please", "picture of", "code thing")]

TOGETHER = 7
"""Numbers made of several of them, and of the text's length; see `cues`."""


def _compile() -> re2.Set:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    patterns = re2.Set.SearchSet(options)
    for pattern in PATTERNS.values():
        patterns.Add(pattern)
    patterns.Compile()
    return patterns


_SET = _compile()
CUES = len(PATTERNS) + TOGETHER


def cues(text: bytes) -> Floats:
    """Return what the words of a turn look like: (CUES,), 1 for each pattern that they match, then what follows.

    Asks and nothing speaks against it; asks as a question or amid talk; asks for something else; a caption and nothing
    else; words, as a share of 256 on a logarithmic scale; few words; no words.

    text: UTF-8; of a long one both ends are read, in time linear in what is read.
    """
    if len(text) > HEAD_BYTES + TAIL_BYTES:
        text = text[:HEAD_BYTES] + b"\n" + text[-TAIL_BYTES:]
    out = np.zeros(CUES, np.float32)
    found = frozenset(_SET.Match(text) or ())
    words = text.count(b" ") + text.count(b"\n") + 1
    if found:
        out[list(found)] = 1.0
        out[_ONLY_TOGETHER] = 0.0
        if not found.isdisjoint(_ASKS):
            out[_NOT_AGAINST] = 0.0
            if _MAKE_PLACE in found:
                out[_TEXT_PLACE] = 0.0
            if not found.isdisjoint(_BLOCKS) or (_TEXT_PLACE in found and _MAKE_PLACE not in found):
                out[-5] = 1.0
            else:
                out[-6 if _PLACE["how"] in found else -7] = 1.0
        out[-4] = not found.isdisjoint(_CAPTIONS) and found.isdisjoint(_PROSE) and words <= 40
    out[-3:] = min(math.log2(words), 8.0) / 8.0, words <= 40, not text.strip()
    return out


class Modality:
    """Tells requests for images from others. Threads may share it."""

    def __init__(self, weights: Floats, cue_weights: Floats, bias: float) -> None:
        """weights: of the vector, (dims,). cue_weights: (CUES,)."""
        self._weights, self._cue_weights, self._bias = weights, cue_weights, bias

    @classmethod
    def load(cls, folder: Path | None = None) -> Modality:
        """Read `modality.npy`. folder: None for the one that ships with the package. Raises SetupError."""
        artifact = open_artifact("modality", folder)
        path = artifact.files.get("modality.npy")
        if path is None:
            raise refuse(artifact.files["manifest"], "`files` lacks modality.npy", "the model's weights")
        dims = artifact.number("dims")
        try:
            values = np.load(path, allow_pickle=False)
        except (ValueError, EOFError) as problem:
            raise refuse(path, str(problem), "an array of numpy") from problem
        if values.dtype != np.float32 or values.shape != (dims + CUES + 1,) or not np.isfinite(values).all():
            raise refuse(path, f"{values.dtype}, shape {values.shape}", f"{dims + CUES + 1} finite float32")
        return cls(values[:dims].copy(), values[dims:-1].copy(), float(values[-1]))

    def image(self, vector: Floats, text: bytes) -> float:
        """Return the chance that a turn asks for an image, 0 to 1. vector: the encoder's of the same text."""
        score = float(self._weights @ vector) + float(self._cue_weights @ cues(text)) + self._bias
        return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, score))))
