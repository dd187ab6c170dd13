"""The directory on disk that holds a meta-model: manifest, ledger, shards, stacks. `MetaModel` opens it and predicts.

It knows how to write and read children, and nothing of fitting, training or MLflow.
"""
