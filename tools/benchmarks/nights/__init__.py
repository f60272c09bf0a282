"""What a night costs after years of nights, and what a holiday's spike costs beside a normal day."""
