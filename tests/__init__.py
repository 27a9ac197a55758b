"""What levsim promises, as tests; the folders mirror the packages."""
