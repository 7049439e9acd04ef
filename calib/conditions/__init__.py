"""What a line may do to a picture of a good part."""
