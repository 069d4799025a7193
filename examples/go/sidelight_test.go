package main

import (
	"bytes"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// A sidelight that hangs costs no time: 2,000 lines, of which the socket holds some and the others are dropped and counted.
func TestWriteDoesNotWait(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	t.Setenv("SIDELIGHT_SOCKET", path)
	copier := NewCopier()
	line := append(bytes.Repeat([]byte("x"), 999), '\n')
	start := time.Now()
	for number := 0; number < 2000; number++ {
		if sent, err := copier.Write(line); sent != len(line) || err != nil {
			t.Fatal(sent, err)
		}
	}
	// 5 ms a line would be 9 s
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("2,000 lines took %s", took)
	}
	if dropped := copier.Dropped(); dropped == 0 || dropped >= 2000 {
		t.Errorf("%d of 2,000 lines were dropped", dropped)
	}
}
