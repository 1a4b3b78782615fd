"""``python -m lambdabuild`` is the lambdabuild command."""

import sys

from lambdabuild.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
