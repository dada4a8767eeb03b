"""The commands of the runtime: `mm-sample`, `mm-score`, `mm-bench`, and what `mm-inspect` shows."""
