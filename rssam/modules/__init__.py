"""Modules that RS-SAM adds to SAM: neck, decoder chain, fusion."""
