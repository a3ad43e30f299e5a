"""From a source folder or archive to a prepared folder: find pairs, verify, convert, tile, split."""
