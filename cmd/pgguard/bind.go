package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// An address that is in use is tried again every bindEvery: for bindFor whoever has it, because a predecessor may have been told to go a
// moment ago, and for the grace time if it is a guard that drains.
const (
	bindEvery = 100 * time.Millisecond
	bindFor   = 2 * time.Second
)

// bind calls listen until it has an address, or fails for another reason than that the address is in use, or the wait for that is over.
func (s *service) bind(ctx context.Context, listen func() error) error {
	began, said := time.Now(), false
	for {
		err := listen()
		if !errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
		patience := bindFor
		drains := s.predecessorDrains(ctx)
		if drains {
			patience = s.file.Shutdown.Grace.Std()
		}
		if time.Since(began) >= patience {
			return fmt.Errorf("%w; another program has this address: end it, or choose another (--listen, --http)", err)
		}
		if !said {
			said = true
			s.log.Warn("the address is in use; trying again until it is free", "error", err, "a_guard_drains", drains, "at_most", patience.String())
		}
		select {
		case sig := <-s.signals:
			return fmt.Errorf("ended by a signal (%s) before its addresses were free: %w", sig, err)
		case <-ctx.Done():
			return err
		case <-time.After(bindEvery):
		}
	}
}

// predecessorDrains is true if a guard that drains answers on the address of this one's pages.
func (s *service) predecessorDrains(ctx context.Context) bool {
	if s.file.HTTP == "off" {
		return false
	}
	ctx, stop := context.WithTimeout(ctx, time.Second)
	defer stop()
	return drains(ctx, "http://"+s.file.HTTP) || drains(ctx, "https://"+s.file.HTTP)
}

// drains is true if the pages of a guard that drains are there.
func drains(ctx context.Context, url string) bool {
	resp, err := askHow(ctx, url+"/readyz")
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	return err == nil && resp.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(body), "draining")
}

// bindHTTP binds the address of the pages, unless it was handed over. l is nil if a guard that drains still has it, which must not keep clients waiting.
func (s *service) bindHTTP(ctx context.Context) (l net.Listener, err error) {
	err = s.bind(ctx, func() error {
		var err error
		if l, err = s.handed.Take("tcp", s.file.HTTP); l != nil || err != nil {
			return err
		}
		if l, err = net.Listen("tcp", s.file.HTTP); errors.Is(err, syscall.EADDRINUSE) && s.predecessorDrains(ctx) {
			s.log.Warn("a guard that drains still has the address of the pages; they are served once it has ended", "http", s.file.HTTP)
			return nil
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen for http: %w", err)
	}
	return l, nil
}

// awaitHTTP binds the address of the pages as soon as it is free; nil: ctx has ended before.
func (s *service) awaitHTTP(ctx context.Context) net.Listener {
	for {
		l, err := net.Listen("tcp", s.file.HTTP)
		if err == nil {
			s.log.Info("pages are served", "http", l.Addr().String())
			return l
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(bindEvery):
		}
	}
}
