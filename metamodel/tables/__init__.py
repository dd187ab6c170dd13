"""Tables in and out: reading them, their keys, features and weights, which rows make a group, checks of the data.

It knows no estimator, no bundle and no MLflow. PySpark is imported in `metamodel.tables.spark` alone.
"""
