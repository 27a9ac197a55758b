"""What must hold for every tape: reference, partition, restart, conservation, causality, idle
observers."""
