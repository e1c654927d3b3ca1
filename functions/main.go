// Assay finds forged tokens in the logs of Entra ID and Microsoft 365. This is its one executable: the command line, and
// with the argument "serve" the handler of the Azure Functions host.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/assay-sec/assay/pkg/cli"
)

// version is set by the linker.
var version string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx)
	stop()
	os.Exit(code)
}

func run(ctx context.Context) int {
	if len(os.Args) == 2 && os.Args[1] == "serve" {
		return serve(ctx)
	}
	defer runtime.KeepAlive(ballast(commandBallast))
	return cli.Main(ctx, cli.Process(version), os.Args[1:])
}
