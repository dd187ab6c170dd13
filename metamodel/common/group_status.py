"""What becomes of a group: the statuses of the ledger and of shards."""

__all__ = ["ANSWERED", "OUTCOMES", "POOLED", "TRAINED", "WITH_CHILD"]

# Statuses of the groups that have a child that was fitted, now or in an earlier training.
TRAINED = ("fitted", "carried")

# Statuses of the groups that have a child, in the bundle or elsewhere.
WITH_CHILD = (*TRAINED, "referenced")

# Status of the groups that the pooled model answers: it is better than their own child, which is not stored.
POOLED = "pooled"

# Statuses of the groups that somebody answers who was chosen for them.
ANSWERED = (*WITH_CHILD, POOLED)

# What becomes of a group in training.
OUTCOMES = (*TRAINED, POOLED, "skipped", "failed", "retired")
