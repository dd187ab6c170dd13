"""Engines that run `metamodel.fitting` over many groups; each yields the same results in whatever order they come."""

from metamodel.backends.base import Backend, Job, balance
from metamodel.backends.task import Task, TaskResult, best_found, skip_groups
from metamodel.backends.this_machine import LocalTraining, get_backend

__all__ = [
    "Backend",
    "Job",
    "LocalTraining",
    "Task",
    "TaskResult",
    "balance",
    "best_found",
    "get_backend",
    "skip_groups",
]
