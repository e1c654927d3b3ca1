package azfunc

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Names of the headers that the host adds to every request, forwarded HTTP included.
const (
	HeaderInvocationID = "X-Azure-Functions-InvocationId"
	HeaderHostVersion  = "X-Azure-Functions-HostVersion"
)

// Invocation is one call of a function by the host. A repeated attempt of a retry policy is an invocation with an id of
// its own.
type Invocation struct {
	Function    string // the function's name, which is that of its folder
	ID          string // empty if the request had none
	HostVersion string
	Traceparent string // W3C trace context; sent only if telemetry is switched on in the host
	Tracestate  string

	// Data holds the value of the trigger, by the name of its binding, and those of other input bindings.
	Data map[string]Value

	// Metadata is what the host knows of the trigger. For a trigger of cardinality one, properties of the event's own
	// JSON are merged into it, so that a sender can overwrite members: trust the metadata of batches only.
	Metadata map[string]Value

	// Retry is set if function.json has a retry policy.
	Retry *Retry
}

// Retry is the state of a retry policy. The host keeps it in memory: after its death the count starts anew, so no
// attempt can be known to be the last.
type Retry struct {
	Count int // 0 in the first attempt
	Max   int // maxRetryCount; -1: endless
}

// ErrNoBinding says that a call brings nothing for a binding: function.json names another than the program does.
var ErrNoBinding = errors.New("the call has no value for the binding")

// Value returns the value of the binding of that name. Without one the error is ErrNoBinding, wrapped: the right answer to such a call is
// an error, for the next deployment can mend it, and what the call brought under another name is not to be lost.
func (in *Invocation) Value(binding string) (Value, error) {
	v, ok := in.Data[binding]
	if !ok {
		return "", fmt.Errorf("%w %q", ErrNoBinding, binding)
	}
	return v, nil
}

// Parse reads the body of a host's request for a function. The values are substrings of body.
func Parse(function string, header http.Header, body string) (*Invocation, error) {
	in := &Invocation{
		Function:    function,
		ID:          header.Get(HeaderInvocationID),
		HostVersion: header.Get(HeaderHostVersion),
		Traceparent: header.Get("Traceparent"),
		Tracestate:  header.Get("Tracestate"),
	}
	p := &scanner{s: body}
	err := p.object(func(name string) (err error) {
		var part *map[string]Value
		switch name {
		case "Data":
			part = &in.Data
		case "Metadata":
			part = &in.Metadata
		default:
			return p.skipUnknown()
		}
		if *part != nil {
			return fmt.Errorf("at byte %d: %w: %q", p.i, errDuplicate, name)
		}
		if name == "Metadata" && p.null() {
			*part = map[string]Value{} // what the host knows of a trigger is a help, not a condition
			return nil
		}
		*part, err = p.values()
		return err
	})
	if err == nil {
		if p.space(); p.i < len(p.s) {
			err = fmt.Errorf("at byte %d: %w", p.i, errTrailing)
		}
	}
	if err == nil && in.Data == nil {
		err = fmt.Errorf("no member %q", "Data")
	}
	if err != nil {
		return nil, fmt.Errorf("parse invocation of %s: %w", function, err)
	}
	in.Retry = in.retry()
	return in, nil
}

// skipUnknown passes over a member that no host has sent so far. Nobody else will check it.
func (p *scanner) skipUnknown() error {
	at := p.i
	v, err := p.value()
	if err == nil && !json.Valid([]byte(v)) {
		err = fmt.Errorf("at byte %d: not valid JSON", at)
	}
	return err
}

// retry reads the retry context. One that cannot be read is none: an invocation is worth more than its count.
func (in *Invocation) retry() *Retry {
	var raw struct {
		RetryCount, MaxRetryCount Value
	}
	v, ok := in.Metadata["RetryContext"]
	if !ok || v.Decode(&raw) != nil {
		return nil
	}
	count, err := raw.RetryCount.integer()
	if err != nil {
		return nil
	}
	limit, err := raw.MaxRetryCount.integer()
	if err != nil {
		return nil
	}
	return &Retry{Count: int(count), Max: int(limit)}
}
