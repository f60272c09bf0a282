"""A standalone Spark cluster on one machine, of real processes: master, workers, external shuffle service."""
