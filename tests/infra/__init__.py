"""Azure: the templates, and the scripts of a deployment."""
