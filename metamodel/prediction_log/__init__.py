"""The prediction log: what was answered, when and by which version, in files that monitoring and comparisons read.

Both servers and batch scoring hand it their answers. It knows nothing of HTTP, MLflow or bundles, and whatever becomes
of it, no answer is later or other for it.
"""
