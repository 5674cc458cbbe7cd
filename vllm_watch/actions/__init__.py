"""What happens when an alert fires or is over while logs are watched live."""
