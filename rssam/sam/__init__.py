"""SAM's image encoder and mask decoder, at any image size."""
