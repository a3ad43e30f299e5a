"""`python -m benchmarks.cli`, the same as `rssam-bench`."""

from benchmarks.cli.app import main

if __name__ == "__main__":
    main()
