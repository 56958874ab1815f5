"""Weights to bytes and back: quantisers, coders, and the container that holds them.

    from compress.container import read_container, write_container
    write_container("final_model.pgc", {"w": array}, "int6-row+brotli11")

FORMAT.md is the container's format in MUST and MAY. numpy at the border; torch only where a file of torch's is read.
This room imports no other.
"""
