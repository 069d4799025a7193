package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	// patience is how long a line may wait for sidelight before it is dropped.
	patience = 5 * time.Millisecond
	// retry is the time between two attempts to connect.
	retry = time.Second
)

// Copier is an io.Writer for whole lines. It never returns an error: what sidelight does not take is dropped and
// counted. It reconnects by itself and warns once if nothing listens. One file to copy.
type Copier struct {
	mutex   sync.Mutex
	paths   []string
	conn    net.Conn
	next    time.Time
	warned  bool
	dropped uint64
}

// NewCopier looks where SIDELIGHT_SOCKET, the default and the two directories that sidelight falls back to point.
func NewCopier() *Copier {
	if named := os.Getenv("SIDELIGHT_SOCKET"); named != "" {
		return &Copier{paths: []string{named}}
	}
	paths := []string{"/run/sidelight/log.sock"}
	if runtime := os.Getenv("XDG_RUNTIME_DIR"); runtime != "" {
		paths = append(paths, filepath.Join(runtime, "log.sock"))
	}
	return &Copier{paths: append(paths, fmt.Sprintf("/tmp/sidelight-%d/log.sock", os.Geteuid()))}
}

// Write copies one line.
func (c *Copier) Write(line []byte) (int, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	// a second attempt, on a new connection, if sidelight was restarted in between
	for attempt := 0; attempt < 2 && c.connected(); attempt++ {
		_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
		sent, err := c.conn.Write(line)
		if err == nil {
			return len(line), nil
		}
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() && sent == 0 {
			break // the socket is full: this line is dropped, the connection stays
		}
		// the rest of this line must not become the head of the next
		c.conn.Close()
		c.conn = nil
		if sent > 0 {
			break
		}
	}
	c.dropped++
	return len(line), nil
}

// Sync makes it a zapcore.WriteSyncer.
func (c *Copier) Sync() error { return nil }

func (c *Copier) connected() bool {
	if c.conn != nil {
		return true
	}
	if now := time.Now(); now.Before(c.next) {
		return false
	} else {
		c.next = now.Add(retry)
	}
	for _, path := range c.paths {
		if conn, err := net.DialTimeout("unix", path, patience); err == nil {
			c.conn = conn
			return true
		}
	}
	if !c.warned {
		c.warned = true
		fmt.Fprintf(os.Stderr, "sidelight does not listen at %v: no log line is copied until it does\n", c.paths)
	}
	return false
}
