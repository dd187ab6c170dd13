"""One group in, one child or the reason for none out: candidates, model selection, baselines, warm starts.

It knows one group at a time, and no file, no process and no bundle.
"""
