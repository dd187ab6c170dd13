"""Did the rows of many groups change? Bins, counts that add up, tests and multiple testing, of all groups at once.

It knows arrays alone: no table, no file, no model, and no raw value outlasts a call but decile edges and categories.
"""
