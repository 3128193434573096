package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/alecthomas/kong"
)

// asServer makes this test's binary a program with one command: a server that does
// as a test says, through a socket. The test hears the end of the process as the
// end of the connection, however it ends.
const asServer = "EASYFLAKE_CLI_TEST_AS_SERVER"

// Of the environment of a fake server.
const (
	fakeControl = "EASYFLAKE_CLI_TEST_CONTROL" // the path of the test's socket
	fakeBounds  = "EASYFLAKE_CLI_TEST_BOUNDS"  // hosting's, such as "3s,1s"
	fakeStuck   = "EASYFLAKE_CLI_TEST_STUCK"   // if not empty, a daemon never comes to itself
)

// fakeMain is main of the fake server.
func fakeMain() int {
	ctx, w := surroundings()
	if bounds := os.Getenv(fakeBounds); bounds != "" {
		start, end, _ := strings.Cut(bounds, ",")
		w.hosting.startBound, _ = time.ParseDuration(start)
		w.hosting.endBound, _ = time.ParseDuration(end)
	}
	if os.Getenv(fakeStuck) != "" && os.Getenv(daemonVariable) != "" {
		return w.fail(new(fakeServer).serve(context.Background(), nil))
	}
	var cli fakeServer
	parser, err := kong.New(&cli, kong.Name(appName), kong.Bind(w), kong.BindTo(ctx, (*context.Context)(nil)))
	if err != nil {
		return w.fail(err)
	}
	parsed, err := parser.Parse(w.args)
	if err != nil {
		return w.fail(w.usage(err))
	}
	cli.w = w
	return w.fail(parsed.Run())
}

type fakeServer struct {
	hostFlags

	w       *world
	reloads atomic.Int32
}

// Run runs the server.
func (c *fakeServer) Run(ctx context.Context, w *world) error {
	return c.run(ctx, w, c.serve, c.reload)
}

// fakeFacts is what a fake server answers to each line.
type fakeFacts struct {
	PID     int
	Folder  string
	Env     []string
	Umask   int
	Reloads int32
	Err     string // of ready
}

// reload says on stderr that it was called.
func (c *fakeServer) reload(context.Context) error {
	c.reloads.Add(1)
	c.w.warn("reloaded")
	return nil
}

// serve does what the lines say that the test sends.
func (c *fakeServer) serve(ctx context.Context, ready func() error) error {
	conn, err := net.Dial("unix", os.Getenv(fakeControl))
	if err != nil {
		return err
	}
	// conn stays open until the process ends.
	lines := make(chan string)
	go func() {
		in := bufio.NewScanner(conn)
		for in.Scan() {
			lines <- in.Text()
		}
		close(lines)
	}()
	facts := fakeFacts{PID: os.Getpid(), Env: os.Environ(), Umask: currentUmask()}
	facts.Folder, _ = os.Getwd()
	answer := json.NewEncoder(conn)
	if err := answer.Encode(facts); err != nil {
		return err
	}
	ended := ctx.Done()
	for {
		select {
		case <-ended:
			return ctx.Err()
		case line, more := <-lines:
			verb, text, _ := strings.Cut(line, " ")
			switch {
			case !more:
				return errors.New("the test is gone")
			case verb == "ready":
				if err := ready(); err != nil {
					_ = answer.Encode(fakeFacts{Err: err.Error()})
					return err
				}
			case verb == "say":
				c.w.warn("%s", text)
			case verb == "write":
				_, _ = os.Stdout.WriteString(text + "\n")
			case verb == "fail":
				return errors.New(text)
			case verb == "misuse":
				return wrongf("%s", text)
			case verb == "return":
				return nil
			case verb == "panic":
				panic(text)
			case verb == "stay":
				ended = nil // whatever it is asked
			}
			facts.Reloads = c.reloads.Load()
			_ = answer.Encode(facts)
		}
	}
}
