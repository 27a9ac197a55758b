"""What the service tells machines over HTTP, on loopback."""
