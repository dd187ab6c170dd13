"""The history of models: tables of which child was in which version, since when and how good, kept beside a registry.

It turns a version's ledger into rows, keeps them as Delta tables or as folders of Parquet, and answers questions about
a group from them. It knows no MLflow, no training, and does not open a child.
"""
