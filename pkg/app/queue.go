package app

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
)

// The app settings of the host's storage account, in the forms that the Functions host reads. The queue of replays is there.
const (
	settingStorage   = "AzureWebJobsStorage" // a connection string, for the emulator and the local host only
	suffixAccount    = "__accountName"
	suffixQueues     = "__queueServiceUri"
	suffixCredential = "__credential" //nolint:gosec // part of a setting's name
	suffixClient     = "__clientId"
	replayQueue      = "replays"
	development      = "UseDevelopmentStorage=true"
	// The account and key of the storage emulator are published, and open nothing else.
	developmentStorage = "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;" +
		"AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;" +
		"QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
)

// openQueue returns the client of the queue that the settings name. It reaches no network.
func openQueue(getenv func(string) string) (*azqueue.QueueClient, error) {
	if connection := getenv(settingStorage); connection != "" {
		if connection == development {
			connection = developmentStorage
		}
		q, err := azqueue.NewQueueClientFromConnectionString(connection, replayQueue, nil)
		if err != nil {
			return nil, fmt.Errorf("%s is no connection string of a storage account", settingStorage) // the cause may quote it
		}
		return q, nil
	}
	service := getenv(settingStorage + suffixQueues)
	if account := getenv(settingStorage + suffixAccount); service == "" && account != "" {
		service = "https://" + account + ".queue.core.windows.net"
	}
	if service == "" {
		return nil, fmt.Errorf("replays need a queue: set %s%s", settingStorage, suffixAccount)
	}
	credential, err := managed(getenv(settingStorage + suffixClient))
	if err != nil {
		return nil, err
	}
	q, err := azqueue.NewQueueClient(strings.TrimSuffix(service, "/")+"/"+replayQueue, credential, nil)
	if err != nil {
		return nil, fmt.Errorf("open the queue of replays: %w", err)
	}
	return q, nil
}

// managed returns the managed identity: the user-assigned one of that client id, or the system-assigned one for "".
func managed(client string) (azcore.TokenCredential, error) {
	o := &azidentity.ManagedIdentityCredentialOptions{}
	if client != "" {
		o.ID = azidentity.ClientID(client)
	}
	c, err := azidentity.NewManagedIdentityCredential(o)
	if err != nil {
		return nil, fmt.Errorf("make the credential of the managed identity: %w", err)
	}
	return c, nil
}

// enqueueText adds a message, in base64 as host.json has it, which is shown after a while: the queue counts whole seconds, and one
// that is shown before a lease is over would come round and round.
func enqueueText(ctx context.Context, q *azqueue.QueueClient, text string, after time.Duration) error {
	if q == nil {
		return errors.New("replays have no queue")
	}
	seconds := int32(math.Ceil(min(after, 24*time.Hour).Seconds()))
	_, err := q.EnqueueMessage(ctx, base64.StdEncoding.EncodeToString([]byte(text)), &azqueue.EnqueueMessageOptions{VisibilityTimeout: &seconds})
	if err != nil {
		return fmt.Errorf("add a message to the queue %s: %w", replayQueue, err)
	}
	return nil
}
