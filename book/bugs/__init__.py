"""Known bugs of other implementations, one module a source, kept out of the library and shown in the
chapters.
"""
