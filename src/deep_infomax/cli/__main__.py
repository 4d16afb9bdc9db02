"""``python -m deep_infomax.cli``, which launchers of several processes start."""

import sys

from deep_infomax.cli import main

sys.exit(main())
