"""What people look at: the plots of a run, the one-file HTML report of a model, one group's details.

It knows the finished bundle, and nothing of training or MLflow.
"""

from metamodel.report.page import render_report, write_report
from metamodel.report.permutation import permute_worst
from metamodel.report.plots import plot_actual_predicted, plot_metric

__all__ = ["permute_worst", "plot_actual_predicted", "plot_metric", "render_report", "write_report"]
