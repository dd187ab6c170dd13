"""Engines that run `metamodel.fitting.fit` over many groups; each yields the same results in whatever order they come.

They know no MLflow.
"""
