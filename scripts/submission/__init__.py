"""Runs a job with spark-submit, after scripts/submit.sh has set up the checkout."""
