"""`mm-train`, `mm-export` and `mm-inspect`."""
