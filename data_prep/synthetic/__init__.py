"""Draw synthetic scenes with exact masks, as stand-ins for the published data."""
