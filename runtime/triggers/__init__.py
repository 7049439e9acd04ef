"""When: what announces a part."""
