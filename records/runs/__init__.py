"""Experiments: vocabularies x models x codecs x seeds from one file, nothing computed twice, and their store."""
