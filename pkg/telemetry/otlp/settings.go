package otlp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
)

// settings reads what the OpenTelemetry Protocol Exporter specification names, for one signal:
// https://opentelemetry.io/docs/specs/otel/protocol/exporter/.
type settings struct {
	getenv func(string) string
	signal string // METRICS or TRACES
}

// prefix begins the name of every setting.
const prefix = "OTEL_EXPORTER_OTLP_"

// get returns the setting of the signal, else that of all signals, and its name. Empty is as good as absent.
func (s settings) get(name string) (value, from string) {
	for _, from = range []string{prefix + s.signal + "_" + name, prefix + name} {
		if value = strings.TrimSpace(s.getenv(from)); value != "" {
			break
		}
	}
	return value, from
}

// defaultEndpoint is where a collector listens on the same machine.
const defaultEndpoint = "http://localhost:4318"

// defaultTimeout bounds one try.
const defaultTimeout = 10 * time.Second

func (s settings) client(path string) (*client, error) {
	c := &client{header: http.Header{}, timeout: defaultTimeout}
	var err error
	if c.url, err = s.endpoint(path); err != nil {
		return nil, err
	}
	if err := s.headers(c.header); err != nil {
		return nil, err
	}
	c.header.Set("Content-Type", mediaType)
	c.header.Set("User-Agent", "OTel-OTLP-Exporter-Assay")
	switch v, name := s.get("COMPRESSION"); v {
	case "", "none":
	case "gzip":
		c.compress = true
		c.header.Set("Content-Encoding", "gzip")
	default:
		return nil, fmt.Errorf("%s is %q, but is to be gzip or none", name, v)
	}
	if v, name := s.get("TIMEOUT"); v != "" {
		ms, err := strconv.Atoi(v)
		if err != nil || ms <= 0 {
			return nil, fmt.Errorf("%s is %q, but is to be a number of milliseconds", name, v)
		}
		c.timeout = time.Duration(ms) * time.Millisecond
	}
	identity, err := s.identity()
	if err != nil {
		return nil, err
	}
	c.web = &http.Client{
		// The headers may hold a key, which is for the collector alone.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: identity, ForceAttemptHTTP2: true, IdleConnTimeout: 90 * time.Second,
		},
	}
	return c, nil
}

// endpoint returns the URL to post to. That of one signal is used as it is, that of all gets the signal's path.
func (s settings) endpoint(path string) (string, error) {
	v, name := s.get("ENDPOINT")
	if v == "" {
		v = defaultEndpoint
	}
	u, err := url.Parse(v)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("%s is to be a URL that begins with http:// or https://", name) // it may hold a password
	}
	switch {
	case name == prefix+"ENDPOINT":
		u = u.JoinPath(path)
	case u.Path == "":
		u.Path = "/"
	}
	return u.String(), nil
}

// headers reads name=value,name=value with escapes of URLs in the values. It never tells a value: most are keys.
func (s settings) headers(to http.Header) error {
	for _, name := range []string{prefix + "HEADERS", prefix + s.signal + "_HEADERS"} {
		for _, pair := range strings.Split(s.getenv(name), ",") {
			if strings.TrimSpace(pair) == "" {
				continue
			}
			k, v, found := strings.Cut(pair, "=")
			v, err := url.PathUnescape(v)
			if !found || err != nil || strings.TrimSpace(k) == "" {
				return fmt.Errorf("%s is to be name=value,name=value, with the escapes of URLs", name)
			}
			to.Set(strings.TrimSpace(k), strings.TrimSpace(v))
		}
	}
	return nil
}

// identity returns the roots that the collector is believed by and the certificate that it believes us by; nil: the system's and none.
func (s settings) identity() (*tls.Config, error) {
	roots, rootsName := s.get("CERTIFICATE")
	certificate, certificateName := s.get("CLIENT_CERTIFICATE")
	key, keyName := s.get("CLIENT_KEY")
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if roots != "" {
		text, err := os.ReadFile(roots)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", rootsName, err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s: %s holds no certificate in PEM form", rootsName, roots)
		}
	}
	switch {
	case certificate == "" && key == "":
	case certificate == "" || key == "":
		return nil, errors.New(certificateName + " and " + keyName + " go together, but one is empty")
	default:
		pair, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			return nil, fmt.Errorf("%s and %s: %w", certificateName, keyName, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func (s settings) temporality() (metric.TemporalitySelector, error) {
	const name = prefix + "METRICS_TEMPORALITY_PREFERENCE"
	switch v := strings.ToLower(s.getenv(name)); v {
	case "", "cumulative":
		return metric.CumulativeTemporalitySelector, nil
	case "delta":
		return metric.DeltaTemporalitySelector, nil
	case "lowmemory":
		return metric.LowMemoryTemporalitySelector, nil
	default:
		return nil, fmt.Errorf("%s is %q, but is to be cumulative, delta or lowmemory", name, v)
	}
}

func (s settings) aggregation() (metric.AggregationSelector, error) {
	const name = prefix + "METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
	switch v := strings.ToLower(s.getenv(name)); v {
	case "", "explicit_bucket_histogram":
		return metric.DefaultAggregationSelector, nil
	case "base2_exponential_bucket_histogram":
		return func(k metric.InstrumentKind) metric.Aggregation {
			if k == metric.InstrumentKindHistogram {
				return metric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20} // the specification's default
			}
			return metric.DefaultAggregationSelector(k)
		}, nil
	default:
		return nil, fmt.Errorf("%s is %q, but is to be explicit_bucket_histogram or base2_exponential_bucket_histogram", name, v)
	}
}
