"""From a published checkpoint to a bundle: `signalbox models export`.

    source ──> checkpoint ──> normalised ──> float32 graph ──> parity ──> int8, agreement ──> manifest ──> opened once
    (folder, hub)  config        RoPE          optimum          torch

Needs the extra `export` (torch, transformers, optimum), which nothing that serves imports.
`run.export` is the way in.
"""
