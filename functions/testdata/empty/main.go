// Empty answers as the handler does before it has done anything: what a start costs on the machine, whoever starts.
package main

import (
	"net/http"
	"os"
)

func main() {
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	if err := http.ListenAndServe("127.0.0.1:"+os.Getenv("FUNCTIONS_CUSTOMHANDLER_PORT"), answer); err != nil { //nolint:gosec // it lives for a moment
		panic(err)
	}
}
