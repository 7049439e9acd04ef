"""Remember: one record a part, sealed against changes."""
