"""Hands a job to spark-submit: what scripts/submit.sh does once the checkout is set up."""
