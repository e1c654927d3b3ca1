// Assay finds forged tokens in the logs of Entra ID and Microsoft 365. This is its one executable: the command line.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/assay-sec/assay/pkg/cli"
)

// version is set by the linker.
var version string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Main(ctx, cli.Process(version), os.Args[1:])
	stop()
	os.Exit(code)
}
