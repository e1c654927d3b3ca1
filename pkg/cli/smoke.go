package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/spf13/cobra"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/smoke"
)

// keyVariable is the environment variable that holds a function key: a flag would show it to everybody on the machine.
const keyVariable = "ASSAY_API_KEY"

// smokeTest is one invocation of assay smoke.
type smokeTest struct {
	sys *System

	api, hub, audience string
	patience           time.Duration
}

func newSmoke(sys *System) *cobra.Command {
	s := &smokeTest{sys: sys}
	cmd := &cobra.Command{
		Use:   "smoke",
		Short: "Test a deployed function app from end to end",
		Long: `Test a deployed function app from end to end: its health, then an event with a forged token that is sent to a hub and has to come
back as an alert. The event is of the tenant ` + alert.SmokeTenant + `, which stands in no configuration,
and its alert goes to the subscription named smoke alone.

Who runs it needs the role Azure Event Hubs Data Sender on the hub, and signs in as az login, a workload identity or a managed
identity does. A function key for the API is read from ` + keyVariable + `.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.run(cmd.Context()) },
	}
	cmd.Flags().StringVar(&s.api, "api", "", "address of the function app: https://NAME.azurewebsites.net")
	cmd.Flags().StringVar(&s.hub, "hub", "", "hub that the app reads: HOST/HUB, or the address at which assay dev takes events")
	cmd.Flags().StringVar(&s.audience, "audience", "", "sign in to the API with a token for this audience: api://CLIENT-ID")
	cmd.Flags().DurationVar(&s.patience, "patience", 10*time.Minute, "how long each step may take")
	return cmd
}

func (s *smokeTest) run(ctx context.Context) error {
	if s.api == "" || s.hub == "" {
		return errors.New("assay smoke needs --api and --hub\nsee assay smoke --help")
	}
	if err := secure("--api", s.api); err != nil {
		return err
	}
	id, err := s.sys.newRunID()
	if err != nil {
		return err
	}
	p := newPage(s.sys.Out, s.sys.OutTerminal)
	o := smoke.Options{
		API: s.api, Run: id, Patience: s.patience, Now: s.sys.Now, Wait: pauseFor,
		Done: func(step smoke.Step, took time.Duration, detail string) {
			p.fit(green, string(step), nameColumns).put(plain, fmt.Sprintf("%.1f s", took.Seconds()))
			if detail != "" {
				p.put(faint, "  "+detail)
			}
			p.end()
			_ = p.flush() // the last one tells of a broken pipe
		},
	}
	if o.Authorize, err = s.authorize(); err != nil {
		return err
	}
	stop, err := s.send(&o)
	if err != nil {
		return err
	}
	err = smoke.Run(ctx, o)
	return errors.Join(err, stop(context.WithoutCancel(ctx)), p.flush())
}

// send sets how the event is sent, and returns what ends it.
func (s *smokeTest) send(o *smoke.Options) (stop func(context.Context) error, err error) {
	stop = func(context.Context) error { return nil }
	if strings.Contains(s.hub, "://") {
		o.Send = smoke.ToURL(s.hub)
		return stop, secure("--hub", s.hub)
	}
	host, hub, ok := strings.Cut(s.hub, "/")
	if !ok || host == "" || hub == "" || strings.Contains(hub, "/") {
		return stop, fmt.Errorf("--hub is to be HOST/HUB, as NAME.servicebus.windows.net/tokens, and is %q", s.hub)
	}
	credential, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return stop, fmt.Errorf("sign in: %w", err)
	}
	client, err := azeventhubs.NewProducerClient(host, hub, credential, nil)
	if err != nil {
		return stop, fmt.Errorf("open the hub %s: %w", s.hub, err)
	}
	o.Send = smoke.ToEventHubs(client)
	return client.Close, nil
}

// authorize returns what adds the function key and the token to requests, as far as there are any.
func (s *smokeTest) authorize() (func(context.Context, *http.Request) error, error) {
	key := s.sys.Getenv(keyVariable)
	var credential *azidentity.DefaultAzureCredential
	if s.audience != "" {
		var err error
		if credential, err = azidentity.NewDefaultAzureCredential(nil); err != nil {
			return nil, fmt.Errorf("sign in: %w", err)
		}
	}
	return func(ctx context.Context, r *http.Request) error {
		if key != "" {
			r.Header.Set("X-Functions-Key", key)
		}
		if credential == nil {
			return nil
		}
		token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{s.audience + "/.default"}})
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+token.Token)
		return nil
	}, nil
}

// secure refuses an address over which a key or an event could be read on its way. This machine is no way.
func secure(flag, address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return fmt.Errorf("%s is no address: %q", flag, address)
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme != "https" && (u.Scheme != "http" || u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback())) {
		return fmt.Errorf("%s is to begin with https://, and is %q", flag, address)
	}
	return nil
}

// pauseFor waits.
func pauseFor(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
