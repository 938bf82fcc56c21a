"""Where simulated clients run."""

import os

# Ray reads this when it is imported. It would tell of every lost worker on standard output, which
# belongs to the user; the pool replaces the worker and notes it in run.log.
os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", "^A worker died or was killed")
