"""Two models behind one `predict`: whose answer each row gets, and answers of both put into one table.

It knows no file and no registry: where the two models come from is the caller's affair.
"""
