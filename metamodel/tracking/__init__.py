"""Writes to MLflow: the run, the model, the version, child models, referring and packed models.

It knows no HTTP server and no batch scoring.
"""
