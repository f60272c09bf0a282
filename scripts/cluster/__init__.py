"""A standalone Spark cluster of real processes on one machine: master, workers, external shuffle service."""
