"""What is asked for, found: the rows that pass, each once, the likeliest, one after the other."""
