"""A table in, a bundle out: the problem, the plan, an engine that fits all groups, the ledger.

It knows no MLflow. `metamodel.training.assemble` is the plot; engines are in `metamodel.training.engines`.
"""
