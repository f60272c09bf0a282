"""What the DAGs of the sales batch are made of: settings, sensor, operator, alerts."""
