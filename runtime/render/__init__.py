"""What people look at: overlays, charts, pages."""
