"""Models and children from where they live: whole models once a process, referenced children throttled.

It knows artifact stores, endpoints and the disk cache, and nothing of training.
"""
