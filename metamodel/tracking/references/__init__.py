"""Meta-models that refer to children logged elsewhere, made from a table of references.

It looks at the children before anything is registered, and trains nothing.
"""
