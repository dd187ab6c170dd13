"""The words that callers choose among, where several packages name them. Imports nothing, so that `--help` is quick."""

from typing import Literal

__all__ = [
    "CodecName",
    "Duplicates",
    "EngineName",
    "Evidence",
    "LogChildren",
    "NullKeys",
    "PredictMethod",
    "UnknownPolicy",
]

CodecName = Literal["cloudpickle", "joblib", "skops"]

Duplicates = Literal["auto", "drop", "keep"]

Evidence = Literal["pooled", "own", "worse"]

EngineName = Literal["local", "spark"]


LogChildren = Literal["bundle", "models", "runs"]

NullKeys = Literal["error", "group", "drop"]

PredictMethod = Literal["predict", "predict_proba", "decision_function", "score_samples", "transform"]

UnknownPolicy = Literal["null", "error", "fallback"]
