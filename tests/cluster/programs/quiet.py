"""An application that does nothing until SIGTERM. Says when it was started."""

import signal
import sys
import time

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print(f"started at {time.time():.3f}", flush=True)
while True:
    signal.pause()
