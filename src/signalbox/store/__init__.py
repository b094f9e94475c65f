"""What requests leave behind for later ones: pins of sessions, budgets, and a few facts. `base` has the contract."""
