"""What a fresh machine needs before a job can run; standard library only."""
