"""The gate of reduced precisions and its synthetic defects."""
