"""Small random checkpoints of the published architectures, saved as their publishers save them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TEXTS = (
    "Write a function that reverses a list.",
    "Explique-moi la photosynthèse, s'il te plaît !",
    "请用三句话介绍一下长江。",
    "Объясни разницу между мьютексом и семафором",
    "for (int i = 0; i < n; i++) { sum += a[i]; }",
    "मुझे एक योजना चाहिए 🙂👩‍💻",
    "a\tb\n\n  c\u200dd\u202ee " + "very " * 40 + "long",
)
VOCABULARY = 300
COMMON = {"vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}


def save(folder: Path, model: Any, kind: str) -> Path:
    """Save a model and a tokenizer of its kind: `unigram`, `wordpiece` or `bytes`."""
    import torch

    model.eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if any(part in name for part in ("Wqkv", "q_proj", "k_proj")):
                weight *= 20  # fresh weights attend to everything alike, so that positions would not matter
    model.save_pretrained(folder)
    tokenizer(kind).save(str(folder / "tokenizer.json"))
    return folder


def tokenizer(kind: str) -> Any:
    """Train a tokenizer of the published sort on a few texts, special tokens and template included."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    lines = [text for text in TEXTS for _ in range(20)]
    if kind == "unigram":  # XLM-RoBERTa
        made = Tokenizer(models.Unigram())
        made.normalizer = normalizers.NFKC()
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        specials = ["<s>", "<pad>", "</s>", "<unk>"]
        trainer = trainers.UnigramTrainer(
            vocab_size=VOCABULARY, special_tokens=specials, unk_token="<unk>", show_progress=False
        )
        opening, closing = "<s>", "</s>"
    elif kind == "wordpiece":  # BERT
        made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        made.normalizer = normalizers.BertNormalizer()
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(
            vocab_size=VOCABULARY, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"], show_progress=False
        )
        opening, closing = "[CLS]", "[SEP]"
    else:  # Qwen
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        opening = closing = ""
    made.train_from_iterator(lines, trainer)
    if opening:
        ids = [(name, made.token_to_id(name)) for name in (opening, closing)]
        made.post_processor = processors.TemplateProcessing(single=f"{opening} $A {closing}", special_tokens=ids)
    return made


def xlm_roberta(folder: Path) -> Path:
    """RouteLLM's BERT: a head with three labels that have no names."""
    from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification

    config = XLMRobertaConfig(**COMMON, num_hidden_layers=2, num_labels=3, max_position_embeddings=258, pad_token_id=1)
    return save(folder, XLMRobertaForSequenceClassification(config), "unigram")


def bert(folder: Path) -> Path:
    """A sentence encoder, as MiniLM: a body without a head."""
    from transformers import BertConfig, BertModel

    config = BertConfig(**COMMON, num_hidden_layers=2, max_position_embeddings=256)
    save(folder, BertModel(config, add_pooling_layer=False), "wordpiece")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    return folder


def modern_bert(folder: Path, *, per_token: bool = False) -> Path:
    """An mmBERT head: both bases of the rotary embedding are 160,000, and windows are shorter than the texts."""
    from transformers import ModernBertConfig, ModernBertForSequenceClassification, ModernBertForTokenClassification

    names = (
        ["O", "B-PERSON", "I-PERSON", "B-EMAIL_ADDRESS", "I-EMAIL_ADDRESS"]
        if per_token
        else ["AR", "DIFFUSION", "BOTH"]
    )
    config = ModernBertConfig(
        **COMMON,
        num_hidden_layers=4,
        max_position_embeddings=512,
        local_attention=16,
        global_rope_theta=160000.0,
        local_rope_theta=160000.0,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
        cls_token_id=2,
        sep_token_id=3,
        id2label=dict(enumerate(names)),
        label2id={name: at for at, name in enumerate(names)},
        reference_compile=False,
    )
    model = ModernBertForTokenClassification(config) if per_token else ModernBertForSequenceClassification(config)
    return save(folder, model, "wordpiece")


def qwen2(folder: Path, *, positions: int = 512) -> Path:
    """Arch-Router and Router-R1: grouped queries, embeddings tied to the head."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        **COMMON,
        num_hidden_layers=2,
        num_key_value_heads=2,
        max_position_embeddings=positions,
        rope_theta=1000000.0,
        tie_word_embeddings=True,
    )
    return save(folder, Qwen2ForCausalLM(config), "bytes")


def qwen3(folder: Path, *, positions: int = 512) -> Path:
    """Plano-Orchestrator."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(
        **COMMON,
        num_hidden_layers=2,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=positions,
        rope_theta=5000000.0,
    )
    return save(folder, Qwen3ForCausalLM(config), "bytes")


def as_version_5(folder: Path) -> None:
    """Rewrite a config as transformers 5 writes it: the bases under `rope_parameters`, the layers listed."""
    file = folder / "config.json"
    config: dict[str, Any] = json.loads(file.read_text())
    config["transformers_version"] = "5.23.0"
    config["dtype"] = config.pop("torch_dtype", config.get("dtype", "float32"))
    if config["model_type"] == "modernbert":
        config["rope_parameters"] = {
            kind: {"rope_theta": config.pop(name), "rope_type": "default"}
            for kind, name in (("full_attention", "global_rope_theta"), ("sliding_attention", "local_rope_theta"))
        }
        every = config.pop("global_attn_every_n_layers")
        layers = range(config["num_hidden_layers"])
        config["layer_types"] = ["sliding_attention" if layer % every else "full_attention" for layer in layers]
    else:
        config["rope_parameters"] = {"rope_theta": config.pop("rope_theta"), "rope_type": "default"}
        config.pop("rope_scaling", None)
    file.write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "TokenizersBackend"}')
