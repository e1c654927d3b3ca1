package smoke

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// ToEventHubs returns what sends an event with the client. What the service refuses is tried again by the run: a role that
// was given a moment ago takes minutes to count.
func ToEventHubs(client *azeventhubs.ProducerClient) func(context.Context, []byte) error {
	return func(ctx context.Context, body []byte) error {
		ctx, stop := context.WithTimeout(ctx, answer)
		defer stop()
		batch, err := client.NewEventDataBatch(ctx, nil)
		if err != nil {
			return fmt.Errorf("open the hub: %w", err)
		}
		contentType := "application/json"
		if err := batch.AddEventData(&azeventhubs.EventData{Body: body, ContentType: &contentType}, nil); err != nil {
			return fmt.Errorf("%w: %w", errFinal, err)
		}
		if err := client.SendEventDataBatch(ctx, batch, nil); err != nil {
			return fmt.Errorf("send to the hub: %w", err)
		}
		return nil
	}
}

// ToURL returns what posts an event to the address, as assay dev takes them.
func ToURL(address string) func(context.Context, []byte) error {
	return func(ctx context.Context, body []byte) (err error) {
		ctx, stop := context.WithTimeout(ctx, answer)
		defer stop()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
		if err != nil {
			return fmt.Errorf("%w: %w", errFinal, err)
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, io.LimitReader(res.Body, maxBytes))
		if err := errors.Join(err, res.Body.Close()); err != nil {
			return err
		}
		if res.StatusCode != http.StatusCreated {
			return fmt.Errorf("the hub answers %s", res.Status)
		}
		return nil
	}
}
