"""The one seam that turns a frame into an inspection."""
