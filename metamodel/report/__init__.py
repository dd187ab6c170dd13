"""What people look at: the plots of a run, and the one-file HTML report of a model."""

from metamodel.report.plots import plot_actual_predicted, plot_metric

__all__ = ["plot_actual_predicted", "plot_metric"]
