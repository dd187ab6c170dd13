"""Train a part of the groups and take the rest over from the version before: which is which, and how both become one.

`rules` decides by plain facts, `update` gathers them, `tables` joins what both sides hold. It knows no engine and no
MLflow, and opens no child.
"""
