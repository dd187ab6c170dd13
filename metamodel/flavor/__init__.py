"""A bundle as an MLflow model: the pyfunc, its signature and requirements, loading, one-file models.

It knows MLflow and the bundle, and nothing of training. Children that live elsewhere are in `metamodel.flavor.remote`.
"""
