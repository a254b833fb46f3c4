"""What does `python -m cxr_core` do? The same as `cxr-lab`."""

from cxr_core.cli.main import main

raise SystemExit(main())
