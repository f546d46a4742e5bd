"""What happens, in which order. Speaks only to the ports declared here; never imports an adapter."""
