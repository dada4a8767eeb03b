"""How a text comes out of a file: its bytes, unpacked, decoded, and a column of a table."""
