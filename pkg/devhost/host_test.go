package devhost

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestBatchesInOrderWithCheckpoints(t *testing.T) {
	checkpoints := &MemoryCheckpoints{}
	b := run(t, script(t, map[string]string{"fn/function.json": hubFunction("")}), Options{Checkpoints: checkpoints})
	start := b.started()
	for name, want := range map[string]string{
		"old": start.Env["port"], "root": b.root, "host": strings.TrimPrefix(b.host.URL(), "http://"),
		"setting": "two", "arg": "one two",
	} {
		if start.Env[name] != want {
			t.Errorf("environment: %s is %q, want %q", name, start.Env[name], want)
		}
	}
	if len(start.Env["id"]) != 36 || start.Env["port"] == "" {
		t.Errorf("environment: %v", start.Env)
	}
	b.publish("a", "b", "c", "d", "e")
	first := b.next()
	b.wantBatch(first, 0, 1, 2)
	if first.Function != "fn" || first.Hub.Partition != "0" || first.Hub.Hub != "hub" || first.Hub.ConsumerGroup != "detect" ||
		!first.Hub.Event(0).Enqueued.Equal(b.clock.Now()) || first.Length != -1 || first.Retry != nil ||
		first.Header.Get("Content-Type") != "application/json; charset=utf-8" ||
		first.Header.Get("User-Agent") != "Azure-Functions-Host/"+hostVersion {
		t.Errorf("first call: %+v", first.seen)
	}
	if got := checkpoints.All(); len(got) != 0 {
		t.Errorf("checkpoints before the end: %v", got)
	}
	first.reply("ok")
	second := b.next()
	b.wantBatch(second, 3, 4)
	if got := checkpoints.All()["hub/hub/detect/0"]; got != "2" {
		t.Errorf("checkpoint after the first batch is %q", got)
	}
	if second.ID == first.ID || len(second.ID) != 36 {
		t.Errorf("ids are %q and %q", first.ID, second.ID)
	}
	second.reply("ok")
	b.drain()
	if got := checkpoints.All()["hub/hub/detect/0"]; got != "4" {
		t.Errorf("checkpoint is %q", got)
	}
}

func TestFailedBatchWithoutRetryIsLost(t *testing.T) {
	checkpoints := &MemoryCheckpoints{}
	b := run(t, script(t, map[string]string{"fn/function.json": hubFunction("")}), Options{Checkpoints: checkpoints})
	b.publish("a", "b", "c", "d")
	c := b.next()
	b.wantBatch(c, 0, 1, 2)
	c.reply("fail")
	c = b.next()
	b.wantBatch(c, 3)
	if got := checkpoints.All()["hub/hub/detect/0"]; got != "2" {
		t.Errorf("the checkpoint is %q: it moves after a failure, too", got)
	}
	c.reply("ok")
	b.drain()
}

func TestRetryPolicyHoldsThePartition(t *testing.T) {
	checkpoints := &MemoryCheckpoints{}
	b := run(t, script(t, map[string]string{"fn/function.json": hubFunction(endless)}), Options{Checkpoints: checkpoints})
	b.publish("a", "b")
	first := b.next()
	b.wantBatch(first, 0, 1)
	if r := first.Retry; r == nil || r.Count != 0 || r.Max != -1 {
		t.Errorf("retry context of the first attempt: %+v", r)
	}
	b.publish("c")
	first.reply("fail")
	b.clock.advance(t, 5*time.Second, 5*time.Second)
	second := b.next()
	b.wantBatch(second, 0, 1)
	if second.Retry.Count != 1 || second.ID == first.ID {
		t.Errorf("second attempt: %+v, id %s after %s", second.Retry, second.ID, first.ID)
	}
	second.reply("fail")
	b.clock.advance(t, 9*time.Second, 11*time.Second)
	third := b.next()
	b.wantBatch(third, 0, 1)
	if third.Retry.Count != 2 {
		t.Errorf("third attempt: %+v", third.Retry)
	}
	if !strings.Contains(third.Body, `"Exception":{"ClassName":"System.Exception","Message":"response status code`) {
		t.Error("the retry context has no exception")
	}
	if got := checkpoints.All(); len(got) != 0 {
		t.Errorf("checkpoints while the policy runs: %v", got)
	}
	third.reply("ok")
	last := b.next()
	b.wantBatch(last, 2)
	if last.Retry.Count != 0 {
		t.Errorf("the count does not begin anew: %+v", last.Retry)
	}
	last.reply("ok")
	b.drain()
}

func TestFiniteRetryLosesTheBatchAfterTheLast(t *testing.T) {
	b := run(t, script(t, map[string]string{"fn/function.json": hubFunction(twice)}), Options{})
	b.publish("a")
	for i := range 3 {
		c := b.next()
		b.wantBatch(c, 0)
		if c.Retry.Count != i || c.Retry.Max != 2 {
			t.Errorf("attempt %d: %+v", i, c.Retry)
		}
		c.reply("fail")
		if i < 2 {
			b.clock.advance(t, 10*time.Second, 10*time.Second)
		}
	}
	b.drain()
	b.publish("b")
	c := b.next()
	b.wantBatch(c, 1)
	c.reply("ok")
}

func TestKillInMidBatchIsRetried(t *testing.T) {
	b := run(t, script(t, map[string]string{"fn/function.json": hubFunction(endless)}), Options{})
	first := b.started()
	_ = first
	b.publish("a", "b")
	c := b.next()
	pid := c.PID
	if err := b.host.Kill(); err != nil {
		t.Fatal(err)
	}
	b.started()
	b.clock.advance(t, 5*time.Second, 5*time.Second)
	c = b.next()
	b.wantBatch(c, 0, 1)
	if c.PID == pid || c.Retry.Count != 1 {
		t.Errorf("redelivery: process %d after %d, %+v", c.PID, pid, c.Retry)
	}
	c.reply("ok")
	b.drain()
}

func TestKillInMidBatchWithoutRetryLosesTheBatch(t *testing.T) {
	b := run(t, script(t, map[string]string{"fn/function.json": hubFunction("")}), Options{})
	b.publish("a", "b", "c", "d")
	c := b.next()
	b.wantBatch(c, 0, 1, 2)
	if err := b.host.Kill(); err != nil {
		t.Fatal(err)
	}
	c = b.next() // waits for the handler's new start
	b.wantBatch(c, 3)
	c.reply("ok")
	b.drain()
}

func TestEndOfTheHostLosesTheRetryStateButNoEvent(t *testing.T) {
	root := script(t, map[string]string{"fn/function.json": hubFunction(endless)})
	checkpoints, log := &MemoryCheckpoints{}, NewMemoryLog(1, nil)
	o := Options{Checkpoints: checkpoints, Hubs: map[string]Log{"hub": log}}
	b := run(t, root, o)
	b.publish("a", "b")
	c := b.next()
	c.reply("fail")
	b.clock.advance(t, 5*time.Second, 5*time.Second)
	if c = b.next(); c.Retry.Count != 1 {
		t.Errorf("before: %+v", c.Retry)
	}
	b.stop() // in the middle of the second attempt
	if err := b.end(); err != nil {
		t.Errorf("the host ends with %v", err)
	}
	if got := checkpoints.All(); len(got) != 0 {
		t.Errorf("a cancelled invocation moves the checkpoint: %v", got)
	}

	b = run(t, root, o)
	c = b.next()
	b.wantBatch(c, 0, 1)
	if c.Retry.Count != 0 {
		t.Errorf("afterwards: %+v", c.Retry)
	}
	c.reply("ok")
	b.drain()
}

func TestExitZeroLeavesADeadHandler(t *testing.T) {
	b := run(t, script(t, map[string]string{"fn/function.json": hubFunction("")}), Options{})
	b.started()
	b.publish("a")
	b.next().reply("exit 0")
	b.drain()
	b.publish("b", "c")
	b.drain() // fails at once, and is lost
	if !strings.Contains(b.logged(), "does not start it again") || !strings.Contains(b.logged(), "connection refused") {
		t.Errorf("log: %s", b.logged())
	}
	select {
	case <-b.start:
		t.Error("the handler is started again")
	default:
	}
	resp := fetch(t, b.host.URL()+"/admin/host/status")
	if !strings.Contains(resp.text, `"handler":"exited with code 0"`) {
		t.Errorf("status: %s", resp.text)
	}
}

func TestThreeCrashesStopTheHost(t *testing.T) {
	b := run(t, script(t, map[string]string{"fn/function.json": hubFunction(endless)}), Options{})
	b.publish("a")
	crash := func(before time.Duration) {
		t.Helper()
		b.started()
		c := b.next()
		b.clock.pass(before)
		c.reply("exit 1")
	}
	crash(0)
	b.clock.advance(t, 5*time.Second, 5*time.Second)
	crash(0)
	b.clock.advance(t, 9*time.Second, 11*time.Second)
	crash(31 * time.Minute) // which empties the count
	b.clock.advance(t, 13*time.Second, 17*time.Second)
	crash(0)
	b.clock.advance(t, 21*time.Second, 29*time.Second)
	crash(29 * time.Minute)
	if err := b.end(); !errors.Is(err, ErrCrashes) {
		t.Errorf("the host ends with %v", err)
	}
}

func TestExit200AsksForARestart(t *testing.T) {
	b := run(t, script(t, map[string]string{"fn/function.json": hubFunction("")}), Options{})
	for range 4 {
		b.started()
		b.publish("a")
		b.next().reply("exit 200")
		b.drain()
	}
	b.started()
}

func TestCrashAtStart(t *testing.T) {
	b := run(t, script(t, map[string]string{"fn/function.json": hubFunction("")}), Options{})
	if err := b.end(); !errors.Is(err, ErrCrashes) {
		t.Errorf("the host ends with %v", err)
	}
	if !strings.Contains(b.logged(), "crashed at start") {
		t.Errorf("standard error is not in the log: %s", b.logged())
	}
}

func TestHandlerThatIsNotThere(t *testing.T) {
	b := run(t, script(t, map[string]string{"fn/function.json": hubFunction("")}), Options{Settings: map[string]string{
		"AzureFunctionsJobHost__customHandler__description__defaultExecutablePath": "no-such-handler",
	}})
	if err := b.end(); err == nil || !strings.Contains(err.Error(), "no-such-handler") {
		t.Errorf("the host ends with %v", err)
	}
}

func TestEmptySuccessHangsUntilFunctionTimeout(t *testing.T) {
	for name, order := range map[string]string{
		"empty": "answer application/json ", "null": "answer application/json null", "no type": "answer text/plain ",
	} {
		t.Run(name, func(t *testing.T) {
			b := run(t, script(t, map[string]string{"fn/function.json": hubFunction(endless)}), Options{})
			b.started()
			b.publish("a")
			c := b.next()
			pid := c.PID
			c.reply(order)
			if d := b.clock.advance(t, time.Minute, time.Hour); d != 10*time.Minute {
				t.Errorf("functionTimeout came after %v", d)
			}
			b.started()
			b.clock.advance(t, 5*time.Second, 5*time.Second)
			c = b.next()
			if c.PID == pid || c.Retry.Count != 1 {
				t.Errorf("after the timeout: process %d after %d, %+v", c.PID, pid, c.Retry)
			}
			c.reply("ok")
			b.drain()
			if !strings.Contains(b.logged(), ErrTimeout.Error()) {
				t.Errorf("log: %s", b.logged())
			}
		})
	}
}

func TestFunctionTimeoutKillsEveryCall(t *testing.T) {
	b := run(t, script(t, map[string]string{"fn/function.json": hubFunction("")}), Options{})
	b.started()
	for _, p := range []string{"0", "1"} {
		if err := b.host.Publish(t.Context(), "hub", p, Event{Body: []byte(p)}); err != nil {
			t.Fatal(err)
		}
	}
	x, y := b.next(), b.next()
	if x.Hub.Partition == y.Hub.Partition {
		t.Errorf("two calls at once for partition %s", x.Hub.Partition)
	}
	b.clock.advance(t, 10*time.Minute, 10*time.Minute)
	b.started()
	b.drain()
	b.mu.Lock()
	defer b.mu.Unlock()
	failed := 0
	for _, a := range b.attempts {
		if a.Ended && a.Err != nil {
			failed++
		}
	}
	if failed != 2 {
		t.Errorf("%d calls have failed, want both", failed)
	}
}

func TestOneCallAtATimeForEachPartition(t *testing.T) {
	b := run(t, script(t, map[string]string{"fn/function.json": hubFunction("")}), Options{})
	b.publish("a", "b", "c", "d", "e", "f")
	if err := b.host.Publish(t.Context(), "hub", "1", Event{Body: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	inFlight := map[string]call{}
	for range 2 {
		c := b.next()
		if _, ok := inFlight[c.Hub.Partition]; ok {
			t.Fatalf("two calls at once for partition %s", c.Hub.Partition)
		}
		inFlight[c.Hub.Partition] = c
	}
	inFlight["0"].reply("ok")
	next := b.next()
	b.wantBatch(next, 3, 4, 5)
	next.reply("ok")
	inFlight["1"].reply("ok")
	b.drain()
}

func TestAnswersThatFail(t *testing.T) {
	b := run(t, script(t, map[string]string{"fn/function.json": hubFunction("")}), Options{})
	for order, want := range map[string]string{
		"answer text/plain ok":         `the media type \"text/plain\" is not JSON`,
		"answer application/json {":    "unexpected end of JSON",
		"answer application/json [1]":  "cannot unmarshal array",
		"answer application/json \"\"": "cannot unmarshal string",
		"redirect":                     "302 Found",
		"fail":                         "500 Internal Server Error",
	} {
		b.publish("a")
		b.next().reply(order)
		b.drain()
		if !strings.Contains(b.logged(), want) {
			t.Errorf("%s: the log has no %q", order, want)
		}
	}
	b.publish("a")
	b.next().reply(`answer text/json {"Logs":["two findings",3]}`)
	b.drain()
	if !strings.Contains(b.logged(), `"msg":"two findings"`) {
		t.Errorf("lines of the answer are not in the log: %s", b.logged())
	}
}

func TestLinesOfTheHandler(t *testing.T) {
	b := run(t, script(t, map[string]string{"fn/function.json": hubFunction("")}), Options{})
	b.publish("a")
	b.next().reply(`print {"msg":"warned"}`)
	b.drain()
	b.stop()
	if err := b.end(); err != nil {
		t.Error(err)
	}
	if got := b.output.String(); got != "{\"msg\":\"warned\"}\n" {
		t.Errorf("standard output: %q", got)
	}
	if !strings.Contains(b.logged(), `"level":"WARN","msg":"handler wrote to standard error","line":"bad: {\"msg\":\"warned\"}"`) {
		t.Errorf("standard error: %s", b.logged())
	}
}

func TestMinimumBatch(t *testing.T) {
	b := run(t, script(t, map[string]string{"fn/function.json": hubFunction("")}), Options{Settings: map[string]string{
		"AzureFunctionsJobHost__extensions__eventHubs__minEventBatchSize": "2",
		"AzureFunctionsJobHost__extensions__eventHubs__maxWaitTime":       "00:00:30",
	}})
	b.publish("a")
	b.clock.advance(t, 30*time.Second, 30*time.Second)
	c := b.next()
	b.wantBatch(c, 0)
	c.reply("ok")
	b.drain()
	b.publish("b")
	b.publish("c")
	c = b.next()
	b.wantBatch(c, 1, 2)
	c.reply("ok")
	b.drain()
}

func TestCheckpointFrequency(t *testing.T) {
	checkpoints := &MemoryCheckpoints{}
	b := run(t, script(t, map[string]string{"fn/function.json": hubFunction("")}), Options{
		Checkpoints: checkpoints, Settings: map[string]string{
			"AzureFunctionsJobHost__extensions__eventHubs__batchCheckpointFrequency": "2",
			"AzureFunctionsJobHost__extensions__eventHubs__maxEventBatchSize":        "1",
		},
	})
	var after []string
	for range 3 {
		b.publish("a")
		b.next().reply("ok")
		b.drain()
		after = append(after, checkpoints.All()["hub/hub/detect/0"])
	}
	if !slices.Equal(after, []string{"", "1", "1"}) {
		t.Errorf("checkpoints after each batch: %q", after)
	}
}

func TestInitialOffset(t *testing.T) {
	log := NewMemoryLog(1, nil)
	if err := log.Publish(t.Context(), "0", Event{Body: []byte("old")}); err != nil {
		t.Fatal(err)
	}
	for name, settings := range map[string]map[string]string{
		"fromEnd": {"AzureFunctionsJobHost__extensions__eventHubs__initialOffsetOptions__type": "fromEnd"},
		"fromEnqueuedTime": {
			"AzureFunctionsJobHost__extensions__eventHubs__initialOffsetOptions__type":            "fromEnqueuedTime",
			"AzureFunctionsJobHost__extensions__eventHubs__initialOffsetOptions__enqueuedTimeUtc": "2999-01-01T00:00:00Z",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := run(t, script(t, map[string]string{"fn/function.json": hubFunction("")}), Options{
				Hubs: map[string]Log{"hub": log}, Settings: settings,
			})
			<-b.host.Ready()
			b.drain() // past the old event, of which the handler has not heard
			b.mu.Lock()
			defer b.mu.Unlock()
			if len(b.attempts) != 0 {
				t.Errorf("called for old events: %+v", b.attempts)
			}
		})
	}
}

func TestQueue(t *testing.T) {
	queues := &Queues{}
	b := run(t, script(t, map[string]string{"fn/function.json": `{"bindings":[{"type":"queueTrigger","direction":"in",
		"name":"msg","queueName":"%QUEUE%","connection":"C"}]}`}), Options{Queues: queues, Settings: map[string]string{
		"QUEUE": "work", "AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:01:00",
		"AzureFunctionsJobHost__extensions__queues__maxDequeueCount": "2",
	}})
	<-b.host.Ready()
	const text = `{"job":"r-1","DequeueCount":17}`
	b.host.Enqueue("work", `{"job":"r-0"}`, 0)
	c := b.next()
	if got, err := c.Data.Peel(); err != nil || got != `{"job":"r-0"}` || c.Queue.DequeueCount != 1 ||
		!c.Queue.Inserted.Equal(b.clock.Now()) || len(c.Queue.ID) != 36 || c.Retry != nil {
		t.Errorf("got %q, %v, %+v", got, err, c.Queue)
	}
	if !strings.Contains(c.Body, `"msg":"\"{\\\"job\\\":\\\"r-0\\\"}\""`) || !strings.Contains(c.Body, `"job":"\"r-0\""`) {
		t.Errorf("body: %s", c.Body)
	}
	c.reply("ok")
	b.host.Enqueue("work", text, 30*time.Second)
	b.clock.advance(t, 30*time.Second, 30*time.Second)
	if c = b.next(); c.Queue.DequeueCount != 17 {
		t.Errorf("a sender can overwrite the metadata: %+v", c.Queue)
	}
	c.reply("fail")
	b.clock.advance(t, time.Minute, time.Minute)
	c = b.next()
	b.started()
	c.reply("exit 1")
	b.started()
	b.host.Enqueue("work", "plain", 0)
	c = b.next()
	if got, err := c.Data.Peel(); err != nil || got != "plain" {
		t.Errorf("after poison: %q, %v", got, err)
	}
	c.reply("ok")
	for deadline := time.Now().Add(patience); len(queues.Texts("work")) > 0 && time.Now().Before(deadline); {
		<-time.After(time.Millisecond) // until the answer has gone back
	}
	if got := queues.Texts("work" + PoisonSuffix); len(got) != 1 || got[0] != text {
		t.Errorf("poison queue: %q", got)
	}
	if got := queues.Names(); !slices.Equal(got, []string{"work", "work" + PoisonSuffix}) {
		t.Errorf("queues: %q", got)
	}
}

func TestQueueMessageOutlivesTheHost(t *testing.T) {
	queues := &Queues{}
	root := script(t, map[string]string{"fn/function.json": `{"bindings":[{"type":"queueTrigger","direction":"in",
		"name":"msg","queueName":"work","connection":"C","dataType":"binary"}]}`})
	b := run(t, root, Options{Queues: queues})
	clock := b.clock
	b.host.Enqueue("work", "text", 0)
	b.next()
	b.clock.advance(t, renewEvery, renewEvery)
	b.stop()
	if err := b.end(); err != nil {
		t.Error(err)
	}
	b = run(t, root, Options{Queues: queues, Clock: clock})
	clock.advance(t, takenFor, takenFor)
	c := b.next()
	if got, err := c.Data.Peel(); err != nil || got != "dGV4dA==" || c.Queue.DequeueCount != 2 {
		t.Errorf("got %q, %v, %+v", got, err, c.Queue)
	}
	c.reply("ok")
}

func TestChangeFeed(t *testing.T) {
	feed, checkpoints := &MemoryFeed{}, &MemoryCheckpoints{}
	function := func(more, retry string) string {
		return `{"bindings":[{"type":"cosmosDBTrigger","direction":"in","name":"docs","connection":"C","databaseName":"d",
			"containerName":"alerts","maxItemsPerInvocation":2` + more + `}]` + retry + `}`
	}
	feed.Put("old", json.RawMessage(`{"id":"old"}`))
	b := run(t, script(t, map[string]string{
		"all/function.json": function(`,"startFromBeginning":true,"leaseContainerPrefix":"all"`, ""),
		"fn/function.json":  function("", endless),
	}), Options{Feeds: map[string]ChangeFeed{"alerts": feed}, Checkpoints: checkpoints})
	docs := func(c call) string {
		t.Helper()
		s, err := c.Data.Peel()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	c := b.next()
	if c.Function != "all" || docs(c) != `[{"id":"old"}]` || !strings.Contains(c.Body, `"docs":"\"[{\\\"id\\\":`) {
		t.Errorf("from the beginning: %s", c.Body)
	}
	c.reply("fail") // and is lost, as there is no policy

	b.clock.advance(t, 5*time.Second, 5*time.Second)
	for _, id := range []string{"a", "b", "c", "a"} {
		feed.Put(id, json.RawMessage(`{"id":"`+id+`"}`))
	}
	got := map[string][]string{}
	retried := false
	for range 5 {
		var c call
		for called := false; !called; {
			select {
			case c = <-b.calls:
				called = true
			case <-time.After(time.Millisecond):
				b.clock.poll(5 * time.Second)
			}
		}
		if c.Function == "fn" && !retried {
			retried = true
			c.reply("fail")
			continue
		}
		got[c.Function] = append(got[c.Function], docs(c))
		c.reply("ok")
	}
	want := []string{`[{"id":"b"},{"id":"c"}]`, `[{"id":"a"}]`}
	for _, name := range []string{"all", "fn"} {
		if !slices.Equal(got[name], want) {
			t.Errorf("%s got %q, want %q", name, got[name], want)
		}
	}
}

func TestTimer(t *testing.T) {
	b := run(t, script(t, map[string]string{"fn/function.json": `{"bindings":[{"type":"timerTrigger","direction":"in",
		"name":"timer","schedule":"%SCHEDULE%"}]}`}), Options{Settings: map[string]string{"SCHEDULE": "30 */5 * * * *"}})
	b.clock.advance(t, 30*time.Second, 30*time.Second)
	c := b.next()
	if !strings.Contains(c.Body, `"timer":{"Schedule":{"AdjustForDST":true},"ScheduleStatus":null,"IsPastDue":false}`) {
		t.Errorf("body: %s", c.Body)
	}
	c.reply("ok")
	b.clock.advance(t, 5*time.Minute, 5*time.Minute)
	c = b.next()
	if !strings.Contains(c.Body, `"ScheduleStatus":{"Last":"2026-03-01T10:00:30Z","Next":"2026-03-01T10:10:30Z"`) {
		t.Errorf("body: %s", c.Body)
	}
	c.reply("fail")
	if resp := submit(t, b.host.URL()+"/admin/functions/fn", "", "{}"); resp.status != http.StatusAccepted {
		t.Errorf("run now: %d %s", resp.status, resp.text)
	}
	b.next().reply("ok")
	if resp := submit(t, b.host.URL()+"/admin/functions/other", "", "{}"); resp.status != http.StatusNotFound {
		t.Errorf("run another: %d", resp.status)
	}
}

func TestForwardedHTTP(t *testing.T) {
	b := run(t, script(t, map[string]string{
		"alerts/function.json": `{"bindings":[
			{"type":"httpTrigger","direction":"in","name":"req","authLevel":"function","methods":["get","PATCH"],"route":"alerts/{id?}"},
			{"type":"http","direction":"out","name":"res"}]}`,
		"health/function.json": `{"bindings":[
			{"type":"httpTrigger","direction":"in","name":"req","route":"alerts/health"},
			{"type":"http","direction":"out","name":"res"}]}`,
	}), Options{})
	request := func(method, path string, body io.Reader) <-chan response {
		out := make(chan response, 1)
		req, err := http.NewRequestWithContext(t.Context(), method, b.host.URL()+path, body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-MS-CLIENT-PRINCIPAL", "forged")
		go func() { out <- send(t, req) }()
		return out
	}
	answered := request("PATCH", "/api/alerts/a%2Fb?code=k", strings.NewReader(`{"status":"closed"}`))
	c := b.next()
	if c.Method != http.MethodPatch || c.URL != "/api/alerts/a%2Fb?code=k" || c.Body != `{"status":"closed"}` || c.Length != 19 ||
		c.Header.Get("X-Ms-Client-Principal") != "forged" || len(c.ID) != 36 {
		t.Errorf("forwarded: %+v", c.seen)
	}
	c.reply(`answer application/problem+json {"title":"no"}`)
	if got := <-answered; got.status != 200 || got.text != `{"title":"no"}` ||
		got.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("answer: %+v", got)
	}

	answered = request("PATCH", "/api/Alerts/", io.MultiReader(strings.NewReader("chunked")))
	if c = b.next(); c.Body != "" || c.URL != "/api/Alerts/" {
		t.Errorf("a chunked body arrives: %+v", c.seen)
	}
	c.reply("redirect")
	if got := <-answered; got.status != http.StatusFound || got.header.Get("Location") != "/elsewhere" {
		t.Errorf("redirect: %+v", got)
	}

	answered = request("GET", "/api/alerts/health", nil)
	if c = b.next(); c.URL != "/api/alerts/health" {
		t.Errorf("the more exact route: %+v", c.seen)
	}
	c.reply("exit 1")
	if got := <-answered; got.status != 500 {
		t.Errorf("a crash: %+v", got)
	}
	for _, path := range []string{"/api/alerts/a/b", "/api/other", "/apialerts", "/alerts"} {
		if got := fetch(t, b.host.URL()+path); got.status != 404 {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	if got := <-request("DELETE", "/api/alerts/a", nil); got.status != 404 {
		t.Errorf("another method: %d", got.status)
	}
}

func TestAFunctionKey(t *testing.T) {
	http1 := func(level string) string {
		return `{"bindings":[{"type":"httpTrigger","direction":"in","name":"req","authLevel":"` + level + `"},{"type":"http","direction":"out","name":"res"}]}`
	}
	b := run(t, script(t, map[string]string{"closed/function.json": http1("function"), "open/function.json": http1("anonymous")}), Options{Key: "the-key"})
	for _, path := range []string{"/api/closed", "/api/closed?code=", "/api/closed?code=another"} {
		if got := fetch(t, b.host.URL()+path); got.status != http.StatusUnauthorized {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	for _, path := range []string{"/api/closed?code=the-key", "/api/open"} {
		out := make(chan response, 1)
		go func() { out <- fetch(t, b.host.URL()+path) }()
		b.next().reply("answer application/json {}")
		if got := <-out; got.status != http.StatusOK {
			t.Errorf("%s: %d", path, got.status)
		}
	}
}

func TestFrontDoor(t *testing.T) {
	b := run(t, script(t, map[string]string{"fn/function.json": hubFunction("")}), Options{})
	for _, tc := range []struct {
		path, media, body string
		status            int
	}{
		{"/hubs/hub/partitions/0/messages", "application/json", `{"records":[]}`, 201},
		{
			"/hubs/hub/partitions/0/messages", batchType + "; charset=utf-8",
			`[{"Body":"x","UserProperties":{"p":"1"},"BrokerProperties":{"PartitionKey":"k"}},{"Body":"y"}]`, 201,
		},
		{"/hubs/hub/partitions/9/messages", "", `x`, 400},
		{"/hubs/other/messages", "", `x`, 404},
		{"/hubs/hub/messages", batchType, `[{"Text":"x"}]`, 400},
		{"/hubs/hub/messages", batchType, `[{}]`, 400},
		{"/hubs/hub/messages", "", strings.Repeat("x", maxPublication+1), 413},
		{"/queues/q/messages?visibilitytimeout=x", "", `x`, 400},
		{"/queues/q/messages?visibilitytimeout=5", "", `x`, 201},
		{"/queues/q/messages", "", strings.Repeat("x", maxMessage+1), 413},
	} {
		if got := submit(t, b.host.URL()+tc.path, tc.media, tc.body); got.status != tc.status {
			t.Errorf("%s %s: %d %s, want %d", tc.path, tc.media, got.status, got.text, tc.status)
		}
	}
	seen := 0
	for seen < 3 {
		c := b.next()
		if seen += len(c.Hub.Events); seen == 3 {
			last := c.Hub.Events[len(c.Hub.Events)-2]
			if last.PartitionKey != "k" || string(last.Properties["p"]) != `"1"` {
				t.Errorf("event of a batch: %+v", last)
			}
		}
		c.reply("ok")
	}
	b.drain()
	if got := fetch(t, b.host.URL()+"/"); !strings.Contains(got.text, "/hubs/hub/messages") {
		t.Errorf("index: %s", got.text)
	}
	for _, p := range []string{"//admin/host/status", "/admin//host/status", "/x/../admin/host/status", "/admin/host/status/"} {
		if r := fetch(t, b.host.URL()+p); r.status != http.StatusNotFound {
			t.Errorf("%s: %d %v", p, r.status, r.header)
		}
	}
	if f := b.host.Functions(); len(f) != 1 || f[0].Trigger != "eventHubTrigger" || f[0].Source != "hub/detect" {
		t.Errorf("functions: %+v", f)
	}
}

type response struct {
	status int
	text   string
	header http.Header
}

func send(t *testing.T, req *http.Request) response {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Error(err)
		return response{}
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return response{resp.StatusCode, string(text), resp.Header}
}

func fetch(t *testing.T, url string) response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return send(t, req)
}

func submit(t *testing.T, url, media, body string) response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", media)
	return send(t, req)
}

func TestDrainEndsWithTheContext(t *testing.T) {
	b := run(t, script(t, map[string]string{"fn/function.json": hubFunction("")}), Options{})
	b.publish("a")
	c := b.next()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.host.Drain(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	c.reply("ok")
	b.drain()
}
