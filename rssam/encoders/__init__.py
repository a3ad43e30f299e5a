"""Image encoders that can stand in the place of SAM's: what each is, and its maps of stride 16 after chosen blocks."""
