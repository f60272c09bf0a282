"""Settings, sensor, operator and alerts for the DAGs of the sales batch."""
