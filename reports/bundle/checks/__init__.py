"""Check what a bundle says: each record alone, with its split, and all records with each other."""
