"""Documents to vocabularies to token shards, and where every byte of a document went.

    from tokenizers_lab.builders import open_vocabulary
    spec, tokenizer, file = open_vocabulary(Path("vocab/bpe1024"))

BYTES.md tells the three byte counts apart, CHOICE.md how a vocabulary is chosen. This room imports no other.
"""
