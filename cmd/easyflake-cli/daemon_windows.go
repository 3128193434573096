package main

import "context"

// daemonize refuses: Windows has services for this.
func daemonize(context.Context, *world, string) (ground, error) {
	return nil, wrongf("--daemon is not available on Windows: run it as a service, as with sc.exe or the Task Scheduler, or without --daemon")
}
