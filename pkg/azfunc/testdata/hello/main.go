// Command hello is the smallest handler: one function that answers every invocation. It shows how the parts are put
// together, and the benchmark measures how long it takes from its start to its first answer.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/assay-sec/assay/pkg/azfunc"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := azfunc.Run(ctx, azfunc.Options{Build: build}); err != nil {
		fmt.Fprintln(os.Stderr, "hello:", err)
		os.Exit(1)
	}
}

// build is where clients and rules would be made.
func build(context.Context) (*azfunc.Routes, error) {
	var r azfunc.Routes
	r.Function("hello", azfunc.HandlerFunc(hello))
	return &r, nil
}

func hello(_ context.Context, in *azfunc.Invocation) (*azfunc.Result, error) {
	hub, err := in.EventHub()
	if err != nil {
		return nil, fmt.Errorf("read metadata: %w", err)
	}
	return &azfunc.Result{Logs: []string{fmt.Sprintf("%d events of partition %s", len(hub.Events), hub.Partition)}}, nil
}
