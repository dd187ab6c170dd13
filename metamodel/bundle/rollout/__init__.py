"""A champion's bundle and, over it, what a challenger has otherwise: one directory, two models.

Files to files, and the model that answers from both. Why one is rolled out is not known here.
"""
