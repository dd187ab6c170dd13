"""Arrays in, figures out: splits, metrics, choice between candidates, intervals, shrinkage, importance.

It fits nothing, reads no file, and does not know how predictions come about.
"""
