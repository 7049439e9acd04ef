"""Pages and wording."""
