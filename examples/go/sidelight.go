package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// retry is the time between two attempts to connect.
const retry = time.Second

// Copier is an io.Writer for whole lines. It never waits and never returns an error: what sidelight does not take at
// once is dropped and counted. It reconnects by itself and warns once if nothing listens. One file to copy.
type Copier struct {
	mutex   sync.Mutex
	paths   []string
	conn    *net.UnixConn
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
		sent, err := c.send(line)
		if err == nil && sent == len(line) {
			return len(line), nil
		}
		if err == syscall.EAGAIN {
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

// Dropped is the number of lines that sidelight did not take.
func (c *Copier) Dropped() uint64 {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.dropped
}

// Sync makes it a zapcore.WriteSyncer.
func (c *Copier) Sync() error { return nil }

// send is one write to the socket, which is non-blocking. Conn.Write would wait while it is full.
func (c *Copier) send(line []byte) (sent int, err error) {
	raw, failed := c.conn.SyscallConn()
	if failed != nil {
		return 0, failed
	}
	failed = raw.Write(func(descriptor uintptr) bool {
		sent, err = syscall.Write(int(descriptor), line)
		return true
	})
	if failed != nil {
		return 0, failed
	}
	return max(sent, 0), err
}

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
		// connect(2) fails at once if the backlog of the socket is full
		if conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"}); err == nil {
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
