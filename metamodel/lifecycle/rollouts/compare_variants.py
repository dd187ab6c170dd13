"""`metamodel.compare_variants`: what a roll-out's log and later outcomes say of both models, and whether it counts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metamodel.common.messages import count, listing
from metamodel.common.validation import one_of
from metamodel.common.whole_files import whole_file
from metamodel.evaluation.significance import SIGNIFICANT, adjusted
from metamodel.evaluation.variant_effects import (
    PAIRED_SUMS,
    UNSOUND,
    effects_apart,
    effects_paired,
    sample_ratio_p,
)
from metamodel.exceptions import InputError
from metamodel.flavor.registered import version_of
from metamodel.lifecycle.rollouts.joined_log import ALL, GROUPS, UNKNOWN_SHARE, LogSums, Outcome, sum_log
from metamodel.lifecycle.rollouts.rollout import ROLLOUT_TAG
from metamodel.prediction.rollout.assignment import check_fraction
from metamodel.prediction_log.label_rows import LabelSource
from metamodel.report.formatting import p_value as p_text
from metamodel.report.formatting import percent

__all__ = ["VariantComparison", "compare_variants"]

# Of `LogSums`.
_COUNTED = ("rows", "labelled", "unsigned", "failed", "labels_without_row")


@dataclass(frozen=True)
class VariantComparison:
    """What was found.

    Attributes
    ----------
    sound
        Whether as many units have the challenger as were meant to; always, where both models answered every row.
    verdict
        "better", "worse", "no difference" or "void", of the challenger over all rows.
    sentence
        The finding, and whether the split was sound, in words.
    table
        One row a slice: `kind` ("all", "groups", or the slice's columns), `slice`, rows or units of both variants,
        means, `lift` with its interval `lower` to `upper`, `p_value`, `p_value_adjusted` (Benjamini and Hochberg,
        within its kind) and `verdict`.
    split
        One row a version: units of both variants, the fraction that was meant, p-value; empty for paired rows.
    facts
        `outcome`, `better` (lower or higher), `paired`, `rows`, `labelled`, `unsigned` (rows without an entity),
        `failed` (rows that the champion answered in the challenger's place), `labels_without_row`, `split_p_value`.
    """

    sound: bool
    verdict: str
    sentence: str
    table: pd.DataFrame
    split: pd.DataFrame
    facts: Mapping[str, Any]

    @property
    def passed(self) -> bool:
        """Whether the split was sound and the challenger is nowhere clearly worse."""
        return self.sound and not (self.table["verdict"] == "worse").any()

    def __str__(self) -> str:
        return self.sentence

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        slices, split = (json.loads(table.to_json(orient="records")) for table in (self.table, self.split))
        facts = {"passed": self.passed, "sound": self.sound, "verdict": self.verdict, "sentence": self.sentence}
        return {**facts, **self.facts, "slices": slices, "split": split}

    def to_html(self) -> str:
        """Make a page that needs nothing from outside."""
        from metamodel.report.variants_page import render_variants

        return render_variants(self.to_dict())

    def write(self, folder: str | Path) -> None:
        """Write variants.json, variants.html and variants.parquet into a folder."""
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        for name, content in (
            ("variants.json", json.dumps(self.to_dict(), indent=2)),
            ("variants.html", self.to_html()),
        ):
            with whole_file(place / name) as file:
                file.write_text(content, encoding="utf-8")
        with whole_file(place / "variants.parquet") as file:
            self.table.to_parquet(file, index=False)


def compare_variants(  # noqa: PLR0913 - where the log and the outcomes are, and what is asked
    log: Any,
    labels: Any,
    on: Sequence[str] = ("row_id",),
    target: str | None = None,
    *,
    outcome: str | None = None,
    better: str | None = None,
    slices: Sequence[str] = (),
    fraction: float | None = None,
    unit: str = "entity",
) -> VariantComparison:
    """Compare a roll-out's two models by what became true.

    Parameters
    ----------
    log
        The prediction log: its folder, a file, ``delta:PATH``, or a table; also the output of `metamodel score` with
        detail.
    labels
        A table, or the path of one, with the columns `on` and what became true.
    on
        Columns that name a row in both.
    target
        Column of the labels with the target: the absolute error (of labels: the share of wrong ones) is compared.
    outcome
        Instead: column of the labels with a figure, such as revenue, whose mean is compared. Only of "ab" and "canary",
        because in the shadow nobody acted on what the challenger said.
    better
        "lower" or "higher"; by default lower of errors, higher of outcomes.
    slices
        Columns to slice by, of the labels or of the logged features: ``country``, or ``country,store`` for pairs.
    fraction
        Share of the units that the challenger was to have; by default what the logged versions' tags say.
    unit
        What the roll-out dealt out: "entity" (the log's `entity_hash`), "group" (its `key`), or another column of the
        log, such as ``customer_id`` of a table that was scored.

    Returns
    -------
    VariantComparison

    Raises
    ------
    InputError
        A column is missing, nothing is labelled, the log has no entity, or nobody knows the fraction.
    """
    if (target is None) == (outcome is None):
        raise InputError("Say what is compared: target (the models' error), or outcome (a figure of the labels).")
    better = better or ("lower" if outcome is None else "higher")
    one_of("better", better, ("lower", "higher"))
    names = (on,) if isinstance(on, str) else tuple(on)
    became_true = Outcome(LabelSource(labels, names), names, str(target or outcome), outcome is None)
    sums = sum_log(log, became_true, slices, unit)
    if sums.paired and not became_true.is_error:
        raise InputError("In the shadow nobody acted on the challenger's answers. Give target instead of outcome.")
    split = pd.DataFrame() if sums.paired else _split(sums, fraction)
    p_split = 1.0 if sums.paired else sample_ratio_p(_observed(split))
    effects = pd.concat([_judged(kind, sums, better) for kind in sums.by_kind], ignore_index=True)
    sound = p_split >= UNSOUND
    facts = {
        "outcome": f"error of {target}" if outcome is None else outcome,
        "better": better,
        "paired": sums.paired,
        **{name: getattr(sums, name) for name in _COUNTED},
        "split_p_value": p_split,
    }
    verdict = str(effects.loc[effects["kind"] == ALL, "verdict"].iloc[0]) if sound else "void"
    return VariantComparison(sound, verdict, _sentence(verdict, effects, split, facts), effects, split, facts)


def _judged(kind: str, sums: LogSums, better: str) -> pd.DataFrame:
    """Test all slices of a kind, and adjust for their number."""
    of_kind = sums.by_kind[kind].reset_index()
    codes, names = pd.factorize(of_kind["slice"], sort=True)
    if sums.paired:
        effects = effects_paired(of_kind[list(PAIRED_SUMS)].assign(slice=codes), len(names))
    else:
        means = pd.DataFrame({"slice": codes, "challenger": of_kind["challenger"]})
        effects = effects_apart(means.assign(mean=of_kind["total"] / of_kind["rows"]), len(names))
    p = adjusted(effects["p_value"].to_numpy())
    gained = (
        effects["challenger"] < effects["champion"]
        if better == "lower"
        else effects["challenger"] > effects["champion"]
    )
    verdicts = np.where(p < SIGNIFICANT, np.where(gained, "better", "worse"), "no difference")
    effects.insert(0, "slice", np.asarray(names, dtype=object))
    effects.insert(0, "kind", kind)
    return effects.assign(p_value_adjusted=p, verdict=np.where(np.isnan(p), "too few", verdicts))


def _split(sums: LogSums, fraction: float | None) -> pd.DataFrame:
    """Count the units of each version's two variants, beside what was meant."""
    units = sums.units.reset_index()
    units = units.assign(version=units["model"] + "/" + units["version"])
    counts = units.groupby(["version", "share", "challenger"])["unit"].nunique().unstack(fill_value=0)
    versions = [version for version, _ in counts.index]
    split = pd.DataFrame(
        {
            "version": versions,
            "champion_units": counts.get(False, pd.Series(0, index=counts.index)).to_numpy(),
            "challenger_units": counts.get(True, pd.Series(0, index=counts.index)).to_numpy(),
        }
    )
    shares = [fraction if fraction is not None else share for _, share in counts.index]
    meant = [
        _recorded(version) if share == UNKNOWN_SHARE else share for version, share in zip(versions, shares, strict=True)
    ]
    split = split.assign(fraction=list(map(check_fraction, meant)))
    return split.assign(p_value=[sample_ratio_p([counts_]) for counts_ in _observed(split)])


def _observed(split: pd.DataFrame) -> list[tuple[int, int, float]]:
    columns = ("champion_units", "challenger_units", "fraction")
    return list(zip(*(split[name].tolist() for name in columns), strict=True))


def _recorded(version: str) -> Any:
    """Look up which share a registered version, named as ``sales/8``, gives its challenger."""
    name, _, number = version.rpartition("/")
    tags = version_of(name, number).tags if name and number else {}
    if ROLLOUT_TAG not in tags:
        raise InputError(
            f"Nobody knows which share of the units the challenger was to have in {version!r}. Give fraction."
        )
    return json.loads(tags[ROLLOUT_TAG])["fraction"]


def _sentence(verdict: str, effects: pd.DataFrame, split: pd.DataFrame, facts: Mapping[str, Any]) -> str:
    every = effects[effects["kind"] == ALL].iloc[0]
    if facts["paired"]:
        of_what, soundness = f"{facts['labelled']:,} rows", "both models answered every row"
    else:
        challengers = int(split["challenger_units"].sum())
        units = int(split["champion_units"].sum()) + challengers
        of_what = f"{units:,} units"
        meant = listing(dict.fromkeys(percent(share) for share in split["fraction"]))
        shares = f"{percent(challengers / units)} of the units have the challenger, {meant} were meant"
        sound = "not sound" if verdict == "void" else "sound"
        soundness = f"the split was {sound}: {shares} (p {p_text(facts['split_p_value'])})"
    if verdict == "void":
        return f"Void, nothing can be concluded: {soundness}."
    lift = f"{percent(abs(every['lift']))} {'lower' if every['lift'] < 0 else 'higher'}"
    interval = f"95 % interval {percent(every['lower'])} to {percent(every['upper'])}, p {p_text(every['p_value'])}"
    words = {
        "better": f"The challenger is better: its {facts['outcome']} is {lift}",
        "worse": f"The challenger is worse: its {facts['outcome']} is {lift}",
        "no difference": f"No difference was found in {facts['outcome']}: the challenger's is {lift}",
        "too few": f"There are too few outcomes to compare {facts['outcome']}: the challenger's is {lift}",
    }
    worse = _worse_slices(effects, verdict)
    strangers = facts["labels_without_row"]
    lost = f" {count(strangers, 'outcome')} fit no row of the log." if strangers else ""
    return f"{words[verdict]} over {of_what} ({interval}){worse}; {soundness}.{lost}"


def _worse_slices(effects: pd.DataFrame, verdict: str) -> str:
    worse = effects[(effects["kind"] != ALL) & (effects["verdict"] == "worse")]
    if worse.empty:
        return ""
    groups = int((worse["kind"] == GROUPS).sum())
    parts = [count(groups, "group")] if groups else []
    parts += [count(len(worse) - groups, "slice")] if len(worse) > groups else []
    but = "and" if verdict == "worse" else "though"
    return f", {but} it is worse in {' and '.join(parts)}"
