"""The standard GPT: trained, evaluated, exported, and bundled into the one file that is counted.

MODEL.md says what equals the published baseline and how that was judged. This room may import `compress`, no other.
"""
