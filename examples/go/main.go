// A service that logs one line a request with log/slog, or with zap (argument `zap`), to standard output and to
// sidelight.
package main

import (
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

func slogLogger() func(method, path string, status int, duration time.Duration) {
	out := io.MultiWriter(os.Stdout, NewCopier())
	log := slog.New(slog.NewJSONHandler(out, nil)).With("service", "stock")
	return func(method, path string, status int, duration time.Duration) {
		log.Info("request", "method", method, "path", path, "status", status,
			"duration_ms", float64(duration.Microseconds())/1e3)
	}
}

func zapLogger() func(method, path string, status int, duration time.Duration) {
	out := zapcore.NewMultiWriteSyncer(zapcore.Lock(os.Stdout), NewCopier())
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	log := zap.New(zapcore.NewCore(encoder, out, zap.InfoLevel))
	return func(method, path string, status int, duration time.Duration) {
		log.Info("request", zap.String("method", method), zap.String("path", path), zap.Int("status", status),
			zap.Float64("duration_seconds", duration.Seconds()))
	}
}

func main() {
	log := slogLogger()
	if len(os.Args) > 1 && os.Args[1] == "zap" {
		log = zapLogger()
	}
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	handler := func(answer http.ResponseWriter, request *http.Request) {
		start := time.Now()
		_, _ = io.WriteString(answer, "hello\n")
		log(request.Method, request.URL.Path, http.StatusOK, time.Since(start))
	}
	if err := http.ListenAndServe("127.0.0.1:"+port, http.HandlerFunc(handler)); err != nil {
		os.Exit(1)
	}
}
