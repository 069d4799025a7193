"""CPython's handlers that need a server, unchanged: the handler's kind and the address of the socket are the arguments.

socket, datagram: pickled records; syslog: `<PRI>text` and a NUL on a stream; fork: processes that share a connection.
"""

import datetime
import decimal
import logging
import os
import sys
import uuid
from logging.handlers import DatagramHandler, SocketHandler, SysLogHandler
from socket import SOCK_STREAM

kind, address = sys.argv[1:3]
handler = {
    "socket": lambda: SocketHandler(address, None),
    "fork": lambda: SocketHandler(address, None),
    "datagram": lambda: DatagramHandler(address, None),
    "syslog": lambda: SysLogHandler(address, socktype=SOCK_STREAM),
}[kind]()
logger = logging.getLogger("shop.orders")
logger.addHandler(handler)
logger.setLevel(logging.DEBUG)

if kind == "fork":
    logger.info("before the fork")
    children = []
    for child in range(4):
        pid = os.fork()
        if pid == 0:
            for number in range(100):
                logger.info("child %d, record %d, %s", child, number, "x" * 500)
            os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)
    sys.exit(0)

logger.debug("looking up order %d", 17)
logger.info("order %s of %r is worth %.2f", 17, "shop", 12.5)
logger.info("caf\u00e9 \U0001f600\nsecond line\n  third line")
logger.warning(
    "queue is long",
    extra={
        "price": decimal.Decimal("12.30"),
        "order_id": uuid.UUID(int=7),
        "at": datetime.datetime(2026, 1, 2, 3, 4, 5),
        "tags": {"a", },
        "nested": {"a": [1, 2.5, None, True]},
    },
)
logger.info(
    "HTTP Request",
    extra={"method": "GET", "path": "/orders/17", "status_code": 200, "duration_ms": 12.5},
)
logger.error("job refused")
logger.error("no exception here", exc_info=True)
try:
    [][3]
except IndexError:
    logger.exception("job crashed")
logger.critical("database is gone")
