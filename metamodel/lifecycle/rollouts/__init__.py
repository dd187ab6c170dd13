"""Two versions in one: begin a roll-out, raise it, end it, promote its challenger, and compare what both have done.

It knows neither HTTP nor how batches are scored.
"""
