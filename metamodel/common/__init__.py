"""What every package may use: messages, checks of values, caches, temporary directories, URIs, time limits.

It knows no table, no group and no model.
"""
