// loggers writes the same four records with one of the usual loggers of Go: loggers NAME.
package main

import (
	"errors"
	"flag"
	"log"
	"log/slog"
	"os"

	"github.com/rs/zerolog"
	"github.com/sirupsen/logrus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
)

var noStock = errors.New("no stock")

func withZap(logger *zap.Logger) {
	logger = logger.Named("shop.orders")
	logger.Info("order placed")
	logger.Warn("stock is low")
	logger.Error("order failed", zap.Error(noStock))
	logger.Info("level ERROR is a word of this message")
	_ = logger.Sync()
}

func withSlog(handler slog.Handler) {
	logger := slog.New(handler)
	logger.Info("order placed")
	logger.Warn("stock is low")
	logger.Error("order failed", "error", noStock)
	logger.Info("level ERROR is a word of this message")
}

func withLogrus(formatter logrus.Formatter) {
	logger := logrus.New()
	logger.SetOutput(os.Stdout)
	logger.SetFormatter(formatter)
	logger.Info("order placed")
	logger.Warn("stock is low")
	logger.WithError(noStock).Error("order failed")
	logger.Info("level ERROR is a word of this message")
}

func withZerolog(logger zerolog.Logger) {
	logger.Info().Msg("order placed")
	logger.Warn().Msg("stock is low")
	logger.Error().Err(noStock).Msg("order failed")
	logger.Info().Msg("level ERROR is a word of this message")
}

func main() {
	options := zap.NewProductionConfig()
	options.OutputPaths = []string{"stdout"}
	options.DisableStacktrace = true
	switch os.Args[1] {
	case "zap":
		logger, err := options.Build()
		if err != nil {
			log.Fatal(err)
		}
		withZap(logger)
	case "zap_console":
		options := zap.NewDevelopmentConfig()
		options.OutputPaths = []string{"stdout"}
		options.EncoderConfig.EncodeLevel = zapcore.CapitalColorLevelEncoder
		logger, err := options.Build()
		if err != nil {
			log.Fatal(err)
		}
		withZap(logger)
	case "slog_json":
		withSlog(slog.NewJSONHandler(os.Stdout, nil))
	case "slog_text":
		withSlog(slog.NewTextHandler(os.Stdout, nil))
	case "logrus_json":
		withLogrus(&logrus.JSONFormatter{})
	case "logrus_text":
		withLogrus(&logrus.TextFormatter{DisableColors: true, FullTimestamp: true})
	case "zerolog":
		withZerolog(zerolog.New(os.Stdout).With().Timestamp().Logger())
	case "zerolog_console":
		withZerolog(zerolog.New(zerolog.ConsoleWriter{Out: os.Stdout}).With().Timestamp().Logger())
	case "klog":
		flags := flag.NewFlagSet("klog", flag.ExitOnError)
		klog.InitFlags(flags)
		// without it every line is also written at the levels below
		if err := flags.Parse([]string{"-one_output", "-logtostderr=false"}); err != nil {
			log.Fatal(err)
		}
		klog.SetOutput(os.Stdout)
		klog.Info("order placed")
		klog.Warning("stock is low")
		klog.ErrorS(noStock, "order failed")
		klog.Info("level ERROR is a word of this message")
		klog.Flush()
	}
}
