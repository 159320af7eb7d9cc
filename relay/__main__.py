"""``python -m relay``"""

import sys

if sys.version_info < (3, 11):
    sys.exit("The relay needs Python 3.11 or newer.")

from relay.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
