"""Mixed rows and children in, answers out: routing, asking children, the output table.

It knows no file, no fitting and no evaluation: where children come from is the caller's affair.
"""
