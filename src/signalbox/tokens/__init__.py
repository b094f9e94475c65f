"""Exact prompt tokens per candidate: vocabularies, chat templates, images, and counting no further than needed.

    vocabulary file ──vocabulary──> Tokenizer ─┐
    body ──conversation──> Conversation ──templates──> texts ──counter──> TokenCount, fits(limit)

Owns how many tokens a model will see. What is done with the number is up to `decide`.
"""
