"""The gate's core: what an order may do, by what is known of everything else. Pure."""
