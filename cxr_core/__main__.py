"""`python -m cxr_core`."""

from cxr_core.cli.main import main

raise SystemExit(main())
