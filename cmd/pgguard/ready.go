package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"pgguard/proxy"
	"pgguard/proxy/config"
	"pgguard/proxy/wire"
)

// readyCmd asks a guard that runs with the same configuration whether it serves clients: for health checks, and for what must not start before.
type readyCmd struct {
	Config   string        `short:"c" env:"PGGUARD_CONFIG" placeholder:"FILE" help:"Configuration file of the guard; without one, the defaults."`
	Alive    bool          `help:"Only ask whether it works, not whether it can serve a client now: a restart does not mend a database that is away."`
	Wait     time.Duration `placeholder:"TIME" help:"Ask again until it is ready, or so long (30s, 2m)."`
	settings `embed:""`
}

const (
	// askFor bounds one question; a guard answers in a millisecond, and asks nobody first.
	askFor = 3 * time.Second
	// askEvery is how soon one that is not ready is asked again.
	askEvery = 100 * time.Millisecond
)

// Run implements the command.
func (c *readyCmd) Run(e *env) error {
	if c.Config == "" && c.Upstream == "" {
		c.Upstream = "postgres://db/postgres" // what is asked is the guard
	}
	f, err := c.load(c.Config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(e.ctx, c.Wait)
	defer cancel()
	for {
		err := c.ask(e.ctx, f)
		if err == nil {
			_, err = io.WriteString(e.out, "ready\n")
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w", err)
		case <-time.After(askEvery):
		}
	}
}

// ask returns nil if the guard that f is the configuration of says that it is well, or, where it has no pages, answers on an address for clients.
func (c *readyCmd) ask(ctx context.Context, f *config.File) error {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	if f.HTTP != "off" {
		page, scheme := "/readyz", "http"
		if c.Alive {
			page = "/livez"
		}
		if f.PageFiles().Cert != "" {
			scheme = "https"
		}
		return getReady(ctx, scheme+"://"+near(f.HTTP)+page, errors.New("it does not answer"))
	}
	network, addr := "tcp", near(f.Listen[0].Addr)
	if dir, ok := strings.CutPrefix(f.Listen[0].Addr, "unix:"); ok {
		network, addr = "unix", proxy.SocketPath(dir, proxy.SocketPort(f.ToProxy().Listen))
	}
	return greet(ctx, network, addr)
}

// near is an address of this machine at which somebody who listens at addr can be asked.
func near(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	switch ip := net.ParseIP(host); {
	case host == "" || ip.Equal(net.IPv4zero):
		host = "127.0.0.1"
	case ip != nil && ip.IsUnspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}

// greet asks who listens there whether it speaks TLS, which every server of this protocol answers without a login.
func greet(ctx context.Context, network, addr string) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if end, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(end)
	}
	var answer [1]byte
	if _, err := c.Write(wire.AppendSSLRequest(nil)); err != nil {
		return err
	}
	if _, err := io.ReadFull(c, answer[:]); err != nil {
		return err
	}
	if answer[0] != 'S' && answer[0] != 'N' {
		return fmt.Errorf("%s does not speak PostgreSQL's protocol", addr)
	}
	return nil
}

// askHow asks how a guard is. Nothing is told to who answers, and he is believed no more than that, so he need not show who he is. The body of the
// answer is for the caller to close.
func askHow(ctx context.Context, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	return client.Do(req)
}

// getReady returns nil if url answers 200, else why not; before, if only the time is up.
func getReady(ctx context.Context, url string, before error) error {
	resp, err := askHow(ctx, url)
	if err != nil {
		if ctx.Err() != nil {
			return before
		}
		return nobodyThere(err)
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	why, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err != nil {
		return err
	}
	return errors.New(strings.TrimSpace(string(why)))
}
