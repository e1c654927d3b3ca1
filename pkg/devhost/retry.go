package devhost

import (
	"math"
	"math/rand/v2"
	"time"
)

// retryPolicy is the member retry of a function.json.
type retryPolicy struct {
	max         int  // -1: endless
	exponential bool // else the delay is always least
	least, most time.Duration
}

// Bounds of the randomisation of exponential delays (RandomizedExponentialBackoffStrategy in azure-webjobs-sdk).
const (
	randomLow  = 0.8
	randomHigh = 1.2
)

// backoff returns the delays of one execution in order. random returns numbers from 0 to 1.
func (p *retryPolicy) backoff(random func() float64) func() time.Duration {
	exponent, longest := 0, false
	return func() time.Duration {
		delay := p.least
		if !p.exponential {
			return delay
		}
		if exponent > 0 {
			factor := randomLow + random()*(randomHigh-randomLow)
			delay = time.Duration(min(float64(p.least)*(1+factor*math.Pow(2, float64(exponent-1))), float64(p.most)))
		}
		if longest = longest || delay >= p.most; longest {
			return p.most
		}
		exponent++
		return delay
	}
}

// random is what backoff draws from outside tests. It spreads load; nothing depends on its not being guessed.
func random() float64 { return rand.Float64() } //nolint:gosec // see above

// readRetry reads the policy as the host's ValidateRetryOptions does.
func readRetry(o *object) *retryPolicy {
	p := &retryPolicy{max: o.number("maxRetryCount", 0, -1)}
	if !o.has("maxRetryCount") {
		o.problem("maxRetryCount", "is required")
	}
	p.exponential = o.oneOf("strategy", "fixedDelay", "fixedDelay", "exponentialBackoff") == "exponentialBackoff"
	required := func(name string) time.Duration {
		if !o.has(name) {
			o.problem(name, "is required for this strategy")
		}
		return o.duration(name, 0)
	}
	if p.exponential {
		p.least, p.most = required("minimumInterval"), required("maximumInterval")
		if p.least > p.most {
			o.problem("minimumInterval", "is longer than maximumInterval")
		}
	} else {
		p.least = required("delayInterval")
	}
	o.rest()
	return p
}
