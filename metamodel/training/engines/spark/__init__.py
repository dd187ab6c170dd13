"""The engine that fits on Spark's executors: the driver plans and gathers, workers fit whole tasks.

With `metamodel.tables.spark` and Spark's scoring it is the only place that imports PySpark.
"""
