"""`mm-bench`: how fast an artifact makes strings on this machine."""
