"""Windows of rows against what a model was trained on: which groups changed, why, and who should be retrained.

It knows models and tables, but not how anything is trained, and keeps what it remembers in files.
"""
