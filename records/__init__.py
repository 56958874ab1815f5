"""A submission's life, from a finished run to a folder that is checked, packed, ranked and shown.

README.md tells the life, RULES.md each rule. This room may import `bpb_audit`, no other. The two track folders here
hold records and are never imported.
"""
