// A service that logs with log/slog to standard output and sends a copy to sidelight.
package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"
)

// patience is how long a line may wait for sidelight before it is dropped.
const patience = 5 * time.Millisecond

// copier writes lines to sidelight and never fails, so that the service is not disturbed.
type copier struct {
	conn net.Conn
}

func (c *copier) Write(line []byte) (int, error) {
	if c.conn != nil {
		_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
		if sent, err := c.conn.Write(line); err != nil && sent > 0 {
			// the rest of this line must not become the beginning of the next one
			c.conn.Close()
			c.conn = nil
		}
	}
	return len(line), nil
}

func main() {
	path := os.Getenv("SIDELIGHT_SOCKET")
	if path == "" {
		path = "/run/sidelight/log.sock"
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		conn = nil // without sidelight the service continues
	}
	out := io.MultiWriter(os.Stdout, &copier{conn})
	log := slog.New(slog.NewJSONHandler(out, nil)).With("service", "stock")
	for number := 0; number < 20; number++ {
		log.Info("request", "method", "GET", "path", fmt.Sprintf("/items/%d", number),
			"status", 200, "duration_ms", 3.5)
	}
	log.Error("item is gone", "error_type", "NotFoundError")
}
