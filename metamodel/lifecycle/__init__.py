"""What happens to the versions of a model over time: updated, judged by gates, promoted, rolled back, compared.

It knows nothing of HTTP, and not how batches are scored.
"""
