"""`python -m signalbox.mock`."""

from signalbox.mock.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
