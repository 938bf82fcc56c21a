"""Data: sources, conversion to memory-mapped arrays, partitions and splits. Free of torch."""
