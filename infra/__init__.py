"""What runs in Azure, as code."""
