"""The second opinion on bits per byte: everything recounted from raw UTF-8, and what could not be checked said.

It shares no code with what it audits: own readers of shards, tokenizers and logs, on the standard library and numpy, so
that one bug cannot sit on both sides of the scale. COUNTING.md says what is counted, RULES.md what each rule wants.
"""
