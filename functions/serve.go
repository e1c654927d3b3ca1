package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/assay-sec/assay/functions/alerts"
	"github.com/assay-sec/assay/functions/health"
	"github.com/assay-sec/assay/functions/keys"
	"github.com/assay-sec/assay/functions/mailbox"
	"github.com/assay-sec/assay/functions/notify"
	"github.com/assay-sec/assay/functions/replaychunk"
	"github.com/assay-sec/assay/functions/replays"
	"github.com/assay-sec/assay/functions/signin"
	"github.com/assay-sec/assay/functions/sweep"
	"github.com/assay-sec/assay/functions/tokens"
	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/azfunc"
)

// exitServe is the exit code of a handler that ends, whatever ended it: the host takes 0 for intended and leaves the app without a handler.
const exitServe = 1

// serve answers the Functions host until the context ends.
func serve(ctx context.Context) int {
	seldomCollect(handlerGCPercent)
	boundHeap(handlerMemoryLimit)
	log := azfunc.NewLogger(os.Stdout, slog.LevelInfo)
	var service *app.Service
	err := azfunc.Run(ctx, azfunc.Options{Logger: log, Build: func(ctx context.Context) (*azfunc.Routes, error) {
		var err error
		if service, err = app.NewService(ctx, os.Getenv, version, log, time.Now); err != nil {
			return nil, err
		}
		return routes(service), nil
	}})
	if service != nil {
		if cerr := service.Close(); err == nil {
			err = cerr
		}
	}
	if err != nil {
		log.ErrorContext(ctx, "the handler ends", "error", err)
	}
	// Where a signal ended it well: Azure has none for a handler, and a host that lives on is to start another.
	return exitServe
}

// routes lists every function.
func routes(s *app.Service) *azfunc.Routes {
	r := &azfunc.Routes{}
	signin.Register(r, s)
	mailbox.Register(r, s)
	tokens.Register(r, s)
	notify.Register(r, s)
	sweep.Register(r, s)
	replays.Register(r, s)
	replaychunk.Register(r, s)
	keys.Register(r, s)
	alerts.Register(r, s)
	health.Register(r, s)
	s.Observe(r)
	return r
}
