// Package azfunc speaks the custom-handler protocol of Azure Functions: it serves the invocations that the Functions
// host posts to a handler process, and answers them as the host expects.
//
// It parses the invocation of every trigger without decoding its payload, types the metadata, bounds the memory of
// bodies in flight, and keeps a deadline. Functions with one HTTP trigger and one HTTP output are served as plain
// http.Handlers at their original path (customHandler.enableForwardingHttpRequest in host.json).
//
// It does not peel event payloads, does not retry, and knows nothing of what the functions do.
//
// # What the host makes of an answer
//
// The host reads an answer as success only if its status is 2xx, its media type is JSON and its body is a JSON object.
// Any other status fails the invocation, and its body is dropped: the reason has to be logged. An empty 200 leaves the
// invocation open until functionTimeout, when the host kills the process. So a [Handler] that returns an error is
// answered with 500, and everything else with a complete result object.
//
// A failed invocation is not necessarily run again: Event Hubs and Cosmos DB triggers move their checkpoint after every
// finished invocation, failed or not, and only a retry policy in function.json holds it. See [Invocation.Retry].
//
// # Facts of the host
//
// The facts stem from the sources of azure-functions-host (DefaultHttpWorkerService, ScriptInvocationContextExtensions,
// HttpFunctionInvocationDispatcher, WorkerProcess) and of the trigger extensions.
package azfunc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Handler runs one invocation.
//
// An error says: this invocation failed and running it again may mend it. It is logged and answered with 500. What
// another run cannot mend has to be dealt with by the handler, which then returns no error. The context ends at
// the deadline or when the host is gone. The invocation and what was taken from it are substrings of the request body:
// clone what has to outlive the call.
type Handler interface {
	Invoke(ctx context.Context, in *Invocation) (*Result, error)
}

// HandlerFunc is a function as a [Handler].
type HandlerFunc func(ctx context.Context, in *Invocation) (*Result, error)

// Invoke calls f.
func (f HandlerFunc) Invoke(ctx context.Context, in *Invocation) (*Result, error) { return f(ctx, in) }

// Result is the answer to a successful invocation. A nil Result is one without outputs.
type Result struct {
	// Outputs holds a value for each output binding. A value has to marshal to a JSON object or array: the host
	// silently decodes strings that happen to be valid base64 (azure-functions-host#8352).
	Outputs map[string]any

	// Logs are lines that the host writes at level Information and links to the invocation.
	Logs []string

	// ReturnValue is for the binding named $return; like an output it may not be a string.
	ReturnValue any
}

// ErrBareString says that an output is a JSON string, which the host may decode as base64 without a word.
var ErrBareString = errors.New("an output must be a JSON object or array, not a string")

// marshal returns the body that the host takes for success.
func (r *Result) marshal() ([]byte, error) {
	if r == nil {
		r = &Result{}
	}
	body := struct {
		Outputs     map[string]json.RawMessage
		Logs        []string
		ReturnValue json.RawMessage
	}{map[string]json.RawMessage{}, r.Logs, nil}
	if body.Logs == nil {
		body.Logs = []string{}
	}
	for name, v := range r.Outputs {
		raw, err := marshalOutput(v)
		if err != nil {
			return nil, fmt.Errorf("output %q: %w", name, err)
		}
		body.Outputs[name] = raw
	}
	var err error
	if body.ReturnValue, err = marshalOutput(r.ReturnValue); err != nil {
		return nil, fmt.Errorf("return value: %w", err)
	}
	return json.Marshal(body)
}

func marshalOutput(v any) (json.RawMessage, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if raw[0] == '"' {
		return nil, ErrBareString
	}
	return raw, nil
}
