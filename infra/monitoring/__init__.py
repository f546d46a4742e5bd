"""What the portal shows, and what wakes somebody."""
