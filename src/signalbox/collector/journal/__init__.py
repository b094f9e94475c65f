"""The journal: what was decided and what came of it, without content, kept in files for later.

record, exchange ─> recorder ─> writer ─> files ─> disk ─> read ─> summary
                        └─────> feedback
"""
