"""levsim's engine: the simulator behind leveraged products that need no margin from their users."""
