// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// Exit statuses, beside 128 and the number of the signal that ended the run.
const (
	exitOK = iota
	exitFailed
	exitUsage
)

func main() {
	if s, ok := os.LookupEnv(envWorker); ok {
		os.Exit(work(s))
	}
	os.Exit(coordinate(os.Args[1:]))
}

// interruption is the cause of the context after a signal.
type interruption struct{ os.Signal }

func (i interruption) Error() string { return "interrupted: " + i.String() }

func coordinate(args []string) int {
	set, err := parse(args, os.LookupEnv)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Print(help)
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "quickstart: %v\nquickstart -h explains.\n", err)
		return exitUsage
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	go func() {
		signals, pipe := make(chan os.Signal, 1), make(chan os.Signal, 1)
		signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		signal.Notify(pipe, syscall.SIGPIPE) // nobody reads on, as after "| head"
		var sig os.Signal
		select {
		case sig = <-signals:
			signal.Stop(signals) // a second one ends us at once
		case sig = <-pipe:
		}
		cancel(interruption{sig})
	}()
	// Linux kills the workers when the thread that started them ends.
	runtime.LockOSThread()

	out := newScreen(os.Stdout)
	err = perform(ctx, set, out)
	var i interruption
	switch {
	case errors.As(err, &i):
		out.say("", "%v", err)
		if sig, ok := i.Signal.(syscall.Signal); ok {
			return 128 + int(sig)
		}
		return exitFailed
	case errors.Is(err, errVerdict):
		return exitFailed // has been told
	case err != nil:
		fmt.Fprintf(os.Stderr, "quickstart: %v\n", err)
		return exitFailed
	}
	return exitOK
}
